// Names of locks: which are allowed, and what is said of those that are not. Coordinators encode them in their own way.
import { HoldlineError } from "./errors.js";
import { quoted } from "./text.js";

/** The longest lock name in bytes of UTF-8: what every coordinator can store, with room for encoding. */
export const LONGEST_NAME_BYTES = 255;

/** Why `name` cannot be a lock's name, in words that complete "lock name …", or `null` when it can. */
export function lockNameProblem(name: unknown): string | null {
  if (typeof name !== "string") return "must be a text";
  if (name === "") return "must not be empty";
  // Neither SQLite nor a command's environment can carry it: both would cut the name off there.
  if (name.includes("\0")) return "must not have a NUL character";
  if (!name.isWellFormed()) return "must be well-formed Unicode";
  const bytes = Buffer.byteLength(name);
  if (bytes > LONGEST_NAME_BYTES) return `has ${bytes} bytes, and ${LONGEST_NAME_BYTES} is the most`;
  const segments = name.split("/");
  if (segments.some((segment) => segment === "")) return 'must not begin or end with "/" or have two in a row';
  if (segments.some((segment) => segment === "." || segment === "..")) return 'must not have "." or ".." between slashes';
  return null;
}

/**
 * A lock's name out of anything.
 * @throws HoldlineError `usage` that quotes the name and says what would be right
 */
export function parseLockName(name: unknown): string {
  const problem = lockNameProblem(name);
  if (problem === null) return name as string;
  throw new HoldlineError("usage", `the lock name ${quoted(name)} ${problem}`, {
    hint: `a name is 1 to ${LONGEST_NAME_BYTES} bytes of text, such as "restart/nginx"`,
  });
}
