// zookeeper://[user:password@]host[:port][,host[:port]…][/root]
import { piecesOf } from "../../store-url.js";
import { type Scheme, serversProblem } from "./scheme.js";

export const ZOOKEEPER: Scheme = {
  example: "zookeeper://zk1:2181,zk2:2181/holdline",
  isEmbedded: false,
  problem(rest) {
    if (rest.includes("?")) return 'must not have a "?"; in a password or a path it is written %3F';
    const { userInfo, servers, path } = piecesOf(rest);
    const chroot = path.replace(/(?<!\/)\/+$/, "");
    if (userInfo !== null && !/^[^:]+:./s.test(userInfo)) return 'must have "user:password" before the "@"';
    if (userInfo?.includes("@")) return 'has an "@" in its password, which is written %40';
    // With a "/" in the password, what looks like a server is a part of it.
    return serversProblem(servers, !/@|%40/.test(rest)) ?? (chroot === "" ? null : chrootProblem(chroot));
  },
};

function chrootProblem(chroot: string): string | null {
  const segments = chroot.slice(1).split("/");
  if (segments.includes("")) return 'has two "/" in a row in its path';
  if (segments.some((segment) => segment === "." || segment === "..")) return 'has "." or ".." in its path';
  // ZooKeeper reads UTF-16 and takes no surrogates: only what one unit can say.
  if (/[\ud800-\uf8ff\ufff0-\uffff]/.test(chroot)) return "has a character in its path that ZooKeeper does not take";
  return segments[0] === "zookeeper" ? 'has a path below "/zookeeper", which belongs to ZooKeeper itself' : null;
}
