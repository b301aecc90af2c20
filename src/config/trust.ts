// Whether a configuration that nobody has named may be used: what it says is run as the caller. Only files and their folders
// are looked at and not the folders above them, because whoever can rename one of those cannot make one that belongs to the caller.
import { lstatSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * What is asked of a place where a configuration is looked for. `strict`, for the working directory, which is anybody's: the
 * file and its folder are the caller's or root's, and nobody else may write to them. `owned`, for the caller's own
 * configuration, which another's HOME may point elsewhere: the same, but that a group may write, as it may by default where
 * each user has a group of their own. `system`: nothing.
 */
export type Trust = "strict" | "owned" | "system";

const WRITABLE: Readonly<Record<Trust, number>> = { strict: 0o022, owned: 0o002, system: 0 };

/**
 * Why the file may not be used, in words that complete "it is passed over: …"; `null` when it may, or is not there.
 * @param uid the caller's effective user id; `null` where the system has none
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
    // What cannot be looked at cannot be read: reading it says what is wrong.
    return null;
  }
}

function problemOf(path: string, trust: Trust, uid: number): string | null {
  const stats = statSync(path);
  if (stats.uid !== uid && stats.uid !== 0) return `belongs to another user (${stats.uid})`;
  return (stats.mode & WRITABLE[trust]) === 0 ? null : "may be written to by other users";
}
