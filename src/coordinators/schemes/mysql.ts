// mysql:// and mariadb://, which mean the same: user[:password]@host[:port][,host[:port]…]/database[?parameters]
import { paramsOf, piecesOf } from "../../store-url.js";
import { filePath, oneOf, type ParamCheck, paramsProblem, type Scheme, serversProblem } from "./scheme.js";

// What the tables' names begin with. Servers differ in whether they tell upper case from lower case in them.
const prefix: ParamCheck = (value) =>
  /^[a-z][a-z0-9_]{0,31}$/.test(value) ? null : 'must be up to 32 of a-z, 0-9 and "_", and begin with a letter';

const PARAMS = { prefix, ca: filePath, cert: filePath, key: filePath, tls: oneOf("on", "off"), password_file: filePath };

export const MARIADB = schemeOf("mariadb");
export const MYSQL = schemeOf("mysql");

function schemeOf(name: string): Scheme {
  return {
    example: `${name}://holdline@db1:3306,db2:3306/holdline?password_file=/etc/holdline/password`,
    isEmbedded: false,
    problem(rest) {
      const { userInfo, servers, path, query } = piecesOf(rest);
      if (userInfo?.includes("@")) return 'has an "@" in its password, which is written %40';
      // With a "/" in the password, what looks like a server is a part of it.
      const problem = serversProblem(servers, !/@|%40/.test(rest));
      if (problem !== null) return problem;
      if (userInfo === null || !/^[^:]/s.test(userInfo)) return "names no user before its servers";
      return databaseProblem(path) ?? paramsProblem(query, PARAMS) ?? securityProblem(new Map(paramsOf(query)), userInfo);
    },
  };
}

function databaseProblem(path: string): string | null {
  const name = decodeURIComponent(path.slice(1));
  if (name === "") return "names no database after its servers";
  if (/[/\\.\p{Cc}]/u.test(name) || name.length > 64) return "has a path that is no database's name";
  return null;
}

function securityProblem(params: ReadonlyMap<string, string>, userInfo: string): string | null {
  if (params.has("cert") !== params.has("key")) return 'must have both of "cert" and "key", or none';
  if (params.get("tls") === "off" && (params.has("ca") || params.has("cert"))) return 'has certificates although "tls" is off';
  if (params.has("password_file") && userInfo.includes(":")) return "has a password and a file with one";
  return null;
}
