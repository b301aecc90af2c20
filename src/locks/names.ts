// Names of locks, and of hosts, which have locks by their names: which are allowed, and what is said of those that are not. Coordinators encode them in their own way.
import { HoldlineError } from "./errors.js";
import { quoted } from "./text.js";

/** The longest lock name in bytes of UTF-8: what every coordinator can store, with room for encoding. */
export const LONGEST_NAME_BYTES = 255;

/** Why `name` cannot be a lock's name, in words that complete "lock name …", or `null` when it can. */
export function lockNameProblem(name: unknown): string | null {
  if (typeof name !== "string") return "must be text";
  if (name === "") return "must not be empty";
  // Neither SQLite nor a command's environment can carry it: both would cut the name off there.
  if (name.includes("\0")) return "must not have a NUL character";
  if (!name.isWellFormed()) return "must be well-formed Unicode";
  const bytes = Buffer.byteLength(name);
  if (bytes > LONGEST_NAME_BYTES) return `has ${bytes} bytes; at most ${LONGEST_NAME_BYTES} are allowed`;
  const segments = name.split("/");
  if (segments.some((segment) => segment === "")) return 'must not begin or end with "/" or have two in a row';
  if (segments.some((segment) => segment === "." || segment === "..")) return 'must not have "." or ".." between slashes';
  return null;
}

/**
 * A lock's name out of anything. A host's lock has one name, however the host's is written.
 * @throws HoldlineError `usage` that quotes the name and says what would be right
 */
export function parseLockName(name: unknown): string {
  const problem = lockNameProblem(name);
  if (problem === null) return canonicalLock(name as string);
  throw new HoldlineError("usage", `the lock name ${quoted(name)} ${problem}`, {
    hint: `a name is 1 to ${LONGEST_NAME_BYTES} bytes of text, such as "restart/nginx"`,
  });
}

const PREFIX = "host/";

/** The name of a host's lock. */
export function hostLock(host: string): string {
  return `${PREFIX}${host}`;
}

/** The host whose lock it is, or `null` for any other lock. */
export function hostOfLock(lock: string): string | null {
  return lock.startsWith(PREFIX) ? lock.slice(PREFIX.length) : null;
}

/**
 * A pattern of locks' names, in which * stands for any text.
 * @throws HoldlineError `usage`
 */
export function parseLockPattern(text: string): string {
  const problem = lockNameProblem(text.replaceAll("*", "x"));
  // Host names are case-insensitive.
  if (problem === null) return canonicalLock(text);
  throw new HoldlineError("usage", `the pattern of locks ${quoted(text)} ${problem}`, {
    hint: 'right would be such as "restart/*"',
  });
}

/** Why `text` cannot name a host, in words that complete "a host's name …", or `null` when it can. */
export function hostProblem(text: string): string | null {
  if (text === "") return "must not be empty";
  if (!text.isWellFormed() || /[\p{Cc}\s/\\@]/u.test(text)) return 'must be without blanks, "/", "\\" and "@"';
  if (text === "." || text === "..") return `must not be "${text}"`;
  const bytes = Buffer.byteLength(hostLock(text));
  return bytes > LONGEST_NAME_BYTES ? `is too long by ${bytes - LONGEST_NAME_BYTES} bytes` : null;
}

/**
 * A host's name in the form in which it is locked: neither the case of a host's name means anything (RFC 4343) nor the dot
 * that says that it is a full one.
 */
export function canonicalHost(text: string): string {
  return text.toLowerCase().replace(/(?<=[^.])\.$/, "");
}

/** A lock's name with the host in it, if it is a host's, in the form in which that is locked. */
export function canonicalLock(name: string): string {
  const host = canonicalHost(hostOfLock(name) ?? "");
  return hostProblem(host) === null ? hostLock(host) : name;
}
