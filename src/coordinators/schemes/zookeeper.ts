// zookeeper://[user[:password]@]host[:port][,host[:port]…][/root][?sasl=digest-md5][&password_file=FILE], and zookeeper+tls:// with
// ?ca=FILE&cert=FILE&key=FILE as well.
import { paramsOf, piecesOf } from "../../store-url.js";
import { filePath, oneOf, paramsProblem, type Scheme, serversProblem } from "./scheme.js";

const LOGIN = { sasl: oneOf("digest-md5"), password_file: filePath };
const FILES = { ca: filePath, cert: filePath, key: filePath };

export const ZOOKEEPER: Scheme = {
  example: "zookeeper://zk1:2181,zk2:2181/holdline",
  isEmbedded: false,
  problem(rest) {
    const { query } = piecesOf(rest);
    const tls = paramsOf(query).find(([name]) => Object.hasOwn(FILES, name));
    if (tls !== undefined) return `has the parameter "${tls[0]}", which needs zookeeper+tls://`;
    return addressProblem(rest) ?? paramsProblem(query, LOGIN) ?? loginProblem(rest);
  },
};

export const ZOOKEEPER_TLS: Scheme = {
  example: "zookeeper+tls://zk1:2281,zk2:2281/holdline?ca=/etc/holdline/ca.pem",
  isEmbedded: false,
  problem(rest) {
    const { query } = piecesOf(rest);
    return addressProblem(rest) ?? paramsProblem(query, { ...FILES, ...LOGIN }) ?? loginProblem(rest) ?? certificateProblem(query);
  },
};

function addressProblem(rest: string): string | null {
  const { userInfo, servers, path } = piecesOf(rest);
  const chroot = path.replace(/(?<!\/)\/+$/, "");
  if (userInfo?.includes("@")) return 'has an "@" in its password, which is written %40';
  // With a "/" in the password, what looks like a server is a part of it.
  return serversProblem(servers, !/@|%40/.test(rest)) ?? (chroot === "" ? null : chrootProblem(chroot));
}

function loginProblem(rest: string): string | null {
  const { userInfo, query } = piecesOf(rest);
  const params = new Map(paramsOf(query));
  const isFromFile = params.has("password_file");
  if (userInfo === null) {
    const [unowned] = Object.keys(LOGIN).filter((name) => params.has(name));
    return unowned === undefined ? null : `has the parameter "${unowned}" and no user, which stands before the servers: user@`;
  }
  if (isFromFile) return /^[^:]+$/.test(userInfo) ? null : 'must have a user alone before the "@" where it has "password_file"';
  return /^[^:]+:./s.test(userInfo) ? null : 'must have "user:password" before the "@", or a user and "password_file"';
}

function certificateProblem(query: string | null): string | null {
  const names = new Set(paramsOf(query).map(([name]) => name));
  if (names.has("cert") === names.has("key")) return null;
  return names.has("cert") ? 'has a "cert" without its "key"' : 'has a "key" without its "cert"';
}

function chrootProblem(chroot: string): string | null {
  const segments = chroot.slice(1).split("/");
  if (segments.includes("")) return 'has two "/" in a row in its path';
  if (segments.some((segment) => segment === "." || segment === "..")) return 'has "." or ".." in its path';
  // ZooKeeper reads UTF-16 and takes no surrogates: only what one unit can say.
  if (/[\ud800-\uf8ff\ufff0-\uffff]/.test(chroot)) return "has a character in its path that ZooKeeper does not take";
  return segments[0] === "zookeeper" ? 'has a path below "/zookeeper", which belongs to ZooKeeper itself' : null;
}
