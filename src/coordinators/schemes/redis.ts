// redis[s]://[[user]:password@]host[:port][,host[:port]…][/database], and redis[s]+sentinel://…/name: Redis and Valkey
import { piecesOf } from "../../store-url.js";
import { filePath, oneOf, type ParamCheck, paramsProblem, type Scheme, serversProblem } from "./scheme.js";

// What stands before each key is short against a lock's name.
const LONGEST_PREFIX = 200;

const prefix: ParamCheck = (value) => {
  if (value === "" || /[{}\p{Cc}]/u.test(value)) return "must be a text without braces and control characters";
  return Buffer.byteLength(value) > LONGEST_PREFIX ? `is longer than ${LONGEST_PREFIX} bytes` : null;
};

const database: ParamCheck = (value) => (/^\d{1,5}$/.test(value) ? null : "must be a database's number");

const COMMON = { prefix, password_file: filePath, durability: oneOf("may-lose") };
const SECURITY = { ca: filePath, cert: filePath, key: filePath };

export const REDIS = schemeOf("redis", COMMON);
export const REDISS = schemeOf("rediss", { ...COMMON, ...SECURITY });
export const REDIS_SENTINEL = schemeOf("redis+sentinel", { ...COMMON, db: database });
export const REDISS_SENTINEL = schemeOf("rediss+sentinel", { ...COMMON, ...SECURITY, db: database });

function schemeOf(name: string, params: Readonly<Record<string, ParamCheck>>): Scheme {
  const isSentinel = name.endsWith("+sentinel");
  return {
    example: isSentinel ? `${name}://s1:26379,s2:26379/mymaster` : `${name}://redis1:6379/0?prefix=holdline`,
    isEmbedded: false,
    problem(rest) {
      const { userInfo, servers, path, query } = piecesOf(rest);
      if (userInfo?.includes("@")) return 'has an "@" in its password, which is written %40';
      // With a "/" in the password, what looks like a server is a part of it.
      return (
        serversProblem(servers, !/@|%40/.test(rest)) ??
        (isSentinel ? nameProblem(path) : databaseProblem(path)) ??
        paramsProblem(query, params) ??
        securityProblem(query, userInfo)
      );
    },
  };
}

function databaseProblem(path: string): string | null {
  return /^(?:\/\d{0,5})?$/.test(path) ? null : "has a path that is no database's number";
}

function nameProblem(path: string): string | null {
  return /^\/[^/]+$/.test(path) ? null : "must name, as its path, the primary as the Sentinels know it";
}

function securityProblem(query: string | null, userInfo: string | null): string | null {
  const has = (name: string): boolean => new RegExp(`(?:^|&)${name}=`).test(query ?? "");
  if (has("cert") !== has("key")) return 'must have both of "cert" and "key", or none';
  if (userInfo !== null && !/^[^:]*:./s.test(userInfo) && !has("password_file"))
    return 'must have "user:password" or ":password" before the "@", or a "password_file"';
  if (has("password_file") && userInfo !== null && /:./s.test(userInfo)) return "has a password and a file with one";
  return null;
}
