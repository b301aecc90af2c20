// etcd://[user[:password]@]host[:port][,host[:port]…][/prefix][?password_file=FILE], and the same with TLS.
import { paramsOf, piecesOf } from "../../store-url.js";
import { filePath, type ParamCheck, paramsProblem, type Scheme, serversProblem } from "./scheme.js";

export const ETCD: Scheme = {
  example: "etcd://etcd1:2379,etcd2:2379/holdline",
  isEmbedded: false,
  problem: (rest) => problemOf(rest, { password_file: filePath }),
};

export const ETCD_TLS: Scheme = {
  example: "etcd+tls://etcd1:2379,etcd2:2379/holdline?ca=/etc/holdline/ca.pem",
  isEmbedded: false,
  problem: (rest) => problemOf(rest, { password_file: filePath, ca: filePath, cert: filePath, key: filePath }),
};

function problemOf(rest: string, known: Readonly<Record<string, ParamCheck>>): string | null {
  const { userInfo, servers, path, query } = piecesOf(rest);
  const params = new Set(paramsOf(query).map(([name]) => name));
  return (
    userProblem(userInfo, params.has("password_file")) ??
    serversProblem(servers, !/@|%40/.test(rest)) ??
    pathProblem(path) ??
    paramsProblem(query, known) ??
    (params.has("cert") === params.has("key") ? null : 'must have "cert" and "key" together')
  );
}

function userProblem(userInfo: string | null, hasFile: boolean): string | null {
  if (userInfo === null) return hasFile ? 'has a "password_file" and no user before an "@"' : null;
  if (userInfo.includes("@")) return 'has an "@" in its password, which is written %40';
  if (hasFile) return /^[^:]+$/s.test(userInfo) ? null : 'must have "user@" alone before the servers when it has a "password_file"';
  return /^[^:]+:./s.test(userInfo) ? null : 'must have "user:password" before the "@", or "user" and a "password_file"';
}

function pathProblem(path: string): string | null {
  const prefix = path.replace(/(?<!\/)\/+$/, "");
  if (prefix === "") return null;
  const segments = decodeURIComponent(prefix).slice(1).split("/");
  if (segments.includes("")) return 'has two "/" in a row in its path';
  return segments.some((segment) => segment === "." || segment === "..") ? 'has "." or ".." in its path' : null;
}
