// Whether a coordinator's URL can be right, before anything is contacted: scheme, servers, ports and paths. What a URL
// means is its coordinator's business; how each one's looks is said here so that a typo is a configuration error.
import { isIPv6 } from "node:net";
import { suggestion } from "../locks/nearest.js";
import { quoted } from "../locks/text.js";

interface Scheme {
  readonly example: string;
  /** Whether the store is a file of this machine, which no server stands before. */
  readonly isEmbedded: boolean;
  /** What is wrong with all that follows `scheme://`, or `null`. Quotes nothing that may be a password. */
  problem(rest: string): string | null;
}

const SCHEMES = {
  zookeeper: { example: "zookeeper://zk1:2181,zk2:2181/holdline", isEmbedded: false, problem: zookeeperProblem },
  sqlite: { example: "sqlite:///var/lib/holdline/holdline.db", isEmbedded: true, problem: sqliteProblem },
} satisfies Readonly<Record<string, Scheme>>;

// Two of the longest paths, one relative to the other, have room in it with each of their bytes percent-encoded.
const LONGEST_URL = 32_768;

/** The schemes that a coordinator's URL may have. */
export const COORDINATOR_SCHEMES = Object.keys(SCHEMES) as readonly (keyof typeof SCHEMES)[];

/** What is wrong with a coordinator's URL and what would be right, in words that follow its key, or `null`. */
export function coordinatorUrlProblem(url: string): string | null {
  if (url.length > LONGEST_URL) return `is longer than ${LONGEST_URL} characters, and no coordinator's URL is`;
  const parts = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url);
  const examples = Object.values(SCHEMES)
    .map((scheme) => scheme.example)
    .join(" or ");
  if (parts === null) return `must be a URL such as ${examples}`;
  const name = parts[1] as string;
  const known = COORDINATOR_SCHEMES.find((scheme) => scheme === name);
  if (known === undefined) return `has the unknown scheme ${quoted(`${name}://`)}; ${suggestion(name, COORDINATOR_SCHEMES)}`;
  const rest = parts[2] as string;
  const scheme: Scheme = SCHEMES[known];
  const problem = generalProblem(rest) ?? scheme.problem(rest);
  return problem === null ? null : `${problem}; right would be such as ${scheme.example}`;
}

/** The URL of the embedded coordinator whose database is the file at an absolute path. */
export function sqliteUrl(path: string): string {
  return `sqlite://${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Whether a URL names a store that is a file of this machine. A store that is open says so itself: `isShared`. */
export function isEmbedded(url: string): boolean {
  return COORDINATOR_SCHEMES.some((scheme) => SCHEMES[scheme].isEmbedded && url.startsWith(`${scheme}:`));
}

/** Whether machines besides this one can reach the store, as far as its URL tells. One that listens on the loopback device alone they cannot. */
export function isReachedByOthers(url: string): boolean {
  if (isEmbedded(url)) return false;
  const authority = url.replace(/^[^:]*:\/\//, "").split("/")[0] ?? "";
  const servers = authority.slice(authority.lastIndexOf("@") + 1).split(",");
  return !servers.every((server) => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i.test(server));
}

function generalProblem(rest: string): string | null {
  if (/[\s\p{Cc}]/u.test(rest)) return "must not contain blanks or control characters";
  if (/[?#]/.test(rest)) return 'must not have a "?" or "#"; in a password or a path they are written %3F and %23';
  if (!rest.isWellFormed()) return "must be well-formed Unicode";
  try {
    decodeURIComponent(rest);
  } catch {
    return 'has a "%" that is not followed by two hexadecimal digits of UTF-8; a plain "%" is written %25';
  }
  return null;
}

function zookeeperProblem(rest: string): string | null {
  const slash = rest.indexOf("/");
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const chroot = slash < 0 ? "" : rest.slice(slash).replace(/(?<!\/)\/+$/, "");
  const at = authority.lastIndexOf("@");
  if (at >= 0 && !/^[^:]+:./s.test(authority.slice(0, at))) return 'must have "user:password" before the "@"';
  if (at >= 0 && authority.slice(0, at).includes("@")) return 'has an "@" in its password, which is written %40';
  const servers = authority.slice(at + 1);
  if (servers === "") return "names no server";
  // With a "/" in the password, what looks like a server is a part of it.
  const mayQuote = !/@|%40/.test(rest);
  for (const server of servers.split(",")) {
    const problem = serverProblem(server);
    if (problem !== null)
      return mayQuote && server !== "" ? `has the server ${quoted(server)}, which ${problem}` : `has a server which ${problem}`;
  }
  return chroot === "" ? null : chrootProblem(chroot);
}

function serverProblem(server: string): string | null {
  if (server === "") return "is empty";
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(server);
  if (parts === null) return "must be HOST or HOST:PORT, with an IPv6 address in brackets";
  const [, host, port] = parts as unknown as [string, string, string | undefined];
  if (!isHost(host)) return host === "" ? "has no host name" : "has no proper host name";
  if (port === undefined) return null;
  return /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535
    ? null
    : "has no proper port: a number from 1 to 65535";
}

// Nearly every name is a plain one: the pattern for all others alone takes longer to be made than all else that is asked here.
function isHost(host: string): boolean {
  if (/^\w(?:[\w.-]*\w)?$/.test(host)) return true;
  if (host.startsWith("[")) return host.endsWith("]") && !host.includes("%") && isIPv6(host.slice(1, -1));
  return /^[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}_])?$/u.test(host);
}

function chrootProblem(chroot: string): string | null {
  const segments = chroot.slice(1).split("/");
  if (segments.includes("")) return 'has two "/" in a row in its path';
  if (segments.some((segment) => segment === "." || segment === "..")) return 'has "." or ".." in its path';
  // ZooKeeper reads UTF-16 and takes no surrogates: only what one unit can say.
  if (/[\ud800-\uf8ff\ufff0-\uffff]/.test(chroot)) return "has a character in its path that ZooKeeper does not take";
  return segments[0] === "zookeeper" ? 'has a path below "/zookeeper", which belongs to ZooKeeper itself' : null;
}

function sqliteProblem(rest: string): string | null {
  if (!rest.startsWith("/")) return "needs the absolute path of a file, and so three slashes";
  const path = decodeURIComponent(rest);
  if (path.includes("\0")) return "has a NUL in its path";
  return path.endsWith("/") ? "must name a file, not a directory" : null;
}
