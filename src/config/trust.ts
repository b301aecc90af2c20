// Whether a configuration that nobody named may be used: its commands run as the caller. Checks files and their folders only.
// Somebody who can rename a folder above them still cannot make a folder that belongs to the caller.
import { lstatSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * What a usual place has to satisfy. `strict`, for the working directory, which may be anybody's: file and folder belong to
 * the caller or to root, and nobody else may write to them. `owned`, for the caller's own configuration, since a foreign HOME
 * may lead elsewhere: the same, but a group may write, because on many systems each user has a group of their own. `system`:
 * nothing.
 */
export type Trust = "strict" | "owned" | "system";

const WRITABLE: Readonly<Record<Trust, number>> = { strict: 0o022, owned: 0o002, system: 0 };

/**
 * Why the file may not be used, in words that complete "it is not used: …"; `null` if it may, or is not there.
 * @param uid the caller's effective user id; `null` if the system has none
 */
export function whyNotTrusted(path: string, trust: Trust, uid: number | null): string | null {
  if (trust === "system" || uid === null) return null;
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return null;
    const folder = problemOf(dirname(path), trust, uid);
    if (folder !== null) return `its folder ${folder}`;
    const real = realpathSync(path);
    const file = problemOf(real, trust, uid);
    if (file !== null) return `it ${file}`;
    const behind = problemOf(dirname(real), trust, uid);
    return behind === null ? null : `the folder that it is a link into ${behind}`;
  } catch {
    // A file that cannot be examined cannot be read either, and reading it says why.
    return null;
  }
}

function problemOf(path: string, trust: Trust, uid: number): string | null {
  const stats = statSync(path);
  if (stats.uid !== uid && stats.uid !== 0) return `belongs to another user (${stats.uid})`;
  return (stats.mode & WRITABLE[trust]) === 0 ? null : "may be written to by other users";
}
