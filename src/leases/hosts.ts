// Locks on hosts: which host a name or a file's path means, which hosts are locked along with it, and what each type of lock
// shares. Pure.
import type { LeaseType } from "../locks/claim.js";
import { HoldlineError } from "../locks/errors.js";
import { canonicalHost, hostLock, hostProblem } from "../locks/names.js";
import { quoted } from "../locks/text.js";
import { dependenciesOf } from "./dependencies.js";
import type { DependencyMap } from "./dependencies.js";

/** The types of lock that a host can have. */
export const HOST_LOCK_TYPES = ["generic", "host", "file"] as const satisfies readonly LeaseType[];
export type HostLockType = (typeof HOST_LOCK_TYPES)[number];

/** @throws HoldlineError `usage` that says what would be right */
export function parseHost(text: string): string {
  const host = canonicalHost(text);
  const problem = hostProblem(host);
  if (problem === null) return host;
  throw new HoldlineError("usage", `a host's name ${problem}: ${quoted(text)}`, {
    hint: 'right would be such as "dc01" or "dc01.example.com"; it need not be reachable',
  });
}

/** Whether two names may mean one host: a short one, and a full one that begins with it. */
export function mayBeSame(one: string, other: string): boolean {
  const [short, full] = one.length < other.length ? [one, other] : [other, one];
  // The first number of an IP address is no short name.
  return !short.includes(".") && !/^\d+$/.test(short) && full.startsWith(`${short}.`);
}

/**
 * The name under which a host is locked, whether the caller uses its short name or its full one: the known name. With no
 * known name, or with several that fit, nobody can say which host is meant, and the name stays as it is.
 */
export function knownAs(host: string, known: Iterable<string>): string {
  const names = new Set(known);
  if (names.has(host)) return host;
  const [same, ...others] = [...names].filter((name) => mayBeSame(name, host));
  return same !== undefined && others.length === 0 ? same : host;
}

/** The known hosts: this node, and those of the map. */
export function knownHosts(node: string, dependencies: DependencyMap): readonly string[] {
  return [canonicalHost(node), ...[...dependencies].flatMap(([host, dependents]) => [host, ...dependents])];
}

/** How a lock on a host is shared: `host` with nobody, the other types with each other. */
export function sharingOf(type: HostLockType): { readonly key: string | null; readonly slots: number } {
  return type === "host" ? { key: null, slots: 1 } : { key: SHARED, slots: Number.POSITIVE_INFINITY };
}

const SHARED = "generic";

/** What somebody wants to lock: a host, or a file on it. */
export interface HostTarget {
  readonly host: string;
  /** The path that a lock of the type `file` is for. */
  readonly path: string | null;
  readonly type: HostLockType;
  /** Locks the host's dependencies along with it; `null`: only this host. */
  readonly dependencies: DependencyMap | null;
}

/** The hosts to lock, the named one first, and how their locks are taken. */
export function hostLocksOf({ host, path, type, dependencies }: HostTarget) {
  const hosts = [host, ...(dependencies === null ? [] : dependenciesOf(host, dependencies))];
  return { hosts, locks: hosts.map(hostLock), type, path, ...sharingOf(type) };
}

const LONGEST_PATH_BYTES = 4_096;

/**
 * The host that a file is on: the server of `\\server\share\path`, `smb://server/path` or `server:/path`, and for a local
 * path this node.
 * @throws HoldlineError `usage`
 */
export function parseFilePath(text: string, node: string): { readonly host: string; readonly path: string } {
  if (text.trim() === "" || /\p{Cc}/u.test(text) || !text.isWellFormed() || Buffer.byteLength(text) > LONGEST_PATH_BYTES)
    throw notAPath(text);
  const local = /^(?:\/(?!\/)|~|\.{1,2}(?:\/|$)|[A-Za-z]:[\\/])/.test(text);
  if (local) return { host: parseHost(node), path: text };
  const server = /^\\\\([^\\/]+)[\\/]./.exec(text) ?? SMB.exec(text) ?? /^\/\/([^/]+)\/./.exec(text) ?? EXPORT.exec(text);
  if (server?.[1] === undefined) throw notAPath(text);
  return { host: parseHost(server[1]), path: text.replace(USER, "$1") };
}

// The user and the port of a URL say nothing about which host it is.
const SMB = /^smb:\/\/(?:[^@/]*@)?(\[[0-9a-f:.]+\]|[^/:]+)(?::\d+)?\/./i;
// Everybody sees the path, and must not see a user or a password in it.
const USER = /^(smb:\/\/)[^@/]*@/i;
// With two slashes it is a URL, and what comes before the colon is its scheme, not a server.
const EXPORT = /^(?:[^@/:\s]+@)?(\[[0-9a-f:.]+\]|[^/:\\\s]+):\/(?!\/)./i;

function notAPath(text: string): HoldlineError {
  return new HoldlineError("usage", `the file ${quoted(text)} is on no host that could be told from its path`, {
    hint: "right would be \\\\server\\share\\path, smb://server/path, server:/path or /local/path",
  });
}
