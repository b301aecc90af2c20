// Small files that survive a crash: each write is on disk when it returns, whole or not at all, readable by their owner
// alone, and no symbolic link is followed below the directory that they are kept in. Calls are synchronous: they are
// short, and what comes after one relies on it.
import { randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { HoldlineError, messageOf } from "../../locks/errors.js";

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

const TEMPORARY_PREFIX = ".new-";
// A temporary file lives for one write and one flush. One that is this old was left by a crash.
const TEMPORARY_LIFE_MS = 3_600_000;
// Far above anything that is written here: whatever is larger is something else, and not worth its memory.
const LARGEST_BYTES = 4 * 1_048_576;

/** What stands under a name: its text, nothing, or something that is no such file (a link, a directory, a huge file). */
export type Content = { readonly text: string } | "nothing" | "something else";

/** Makes a directory for its owner alone, with all those above it that are missing; one that is there may be a link to one. */
export function makeTopDirectory(path: string): void {
  spoken("made", path, () => makeWithParents(path));
}

// Not node's own `recursive`, which never returns where a directory is there and another in it is not to be had (/proc).
function makeWithParents(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return;
  if (stat === undefined && dirname(path) !== path) makeWithParents(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
    flushDirectory(dirname(path));
  } catch (error) {
    // Another process may have been faster.
    if (codeOf(error) !== "EEXIST" || stat !== undefined) throw error;
  }
}

/** Makes a directory in one that is there. What stands there already must be a directory, and no link to one. */
export function makeDirectory(parent: string, name: string): string {
  const path = join(parent, name);
  spoken("made", path, () => {
    try {
      mkdirSync(path, { mode: 0o700 });
      flushDirectory(parent);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      if (!lstatSync(path).isDirectory()) throw new Error("something that is no directory has this name", { cause: error });
    }
  });
  return path;
}

/** The names in a directory, sorted; none when it is not there, or no directory. */
export function listDirectory(path: string): string[] {
  return spoken("read", path, () => {
    try {
      return readdirSync(path).sort();
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes(codeOf(error))) return [];
      throw error;
    }
  });
}

export function readContent(directory: string, name: string): Content {
  const path = join(directory, name);
  return spoken("read", path, () => {
    let file: number;
    try {
      // Without blocking, for a pipe of this name would hold the reader for ever.
      file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes(codeOf(error))) return "nothing";
      if (["ELOOP", "EMLINK", "ENXIO"].includes(codeOf(error))) return "something else";
      throw error;
    }
    try {
      const stat = fstatSync(file);
      return stat.isFile() && stat.size <= LARGEST_BYTES ? { text: readFileSync(file, "utf8") } : "something else";
    } finally {
      closeSync(file);
    }
  });
}

/** Puts a file in the place of whatever had its name. */
export function writeWhole(directory: string, name: string, text: string): void {
  const path = join(directory, name);
  const temporary = join(directory, `${TEMPORARY_PREFIX}${randomUUID()}`);
  spoken("written", path, () => {
    const file = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      try {
        writeAll(file, text);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    } catch (error) {
      // Above all on a full disk, where every try would leave one more and none would find room again.
      rmSync(temporary, { force: true });
      throw error;
    }
    flushDirectory(directory);
  });
}

/**
 * Adds a line to a file that other processes may write, remove or set aside at the same time: no line is lost among
 * several writers.
 * @returns whether it was added: a file of `limitBytes` or more gets no further lines
 */
export function appendLine(directory: string, name: string, line: string, limitBytes: number): boolean {
  const path = join(directory, name);
  // A file that was taken away while it was written has the line where nobody looks any more: then once more.
  for (;;) {
    const outcome = spoken("written", path, () => appendOnce(path, directory, line, limitBytes));
    if (outcome !== "taken away") return outcome === "added";
  }
}

function appendOnce(path: string, directory: string, line: string, limitBytes: number): "added" | "full" | "taken away" {
  const file = openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const before = fstatSync(file);
    if (!before.isFile() || before.size >= limitBytes) return "full";
    // One write is one addition at the end, wherever that is by then. A line that a crash has cut off gets its end first.
    writeAll(file, `${before.size > 0 && !endsWithNewline(file, before.size) ? "\n" : ""}${line}\n`);
    fsyncSync(file);
    flushDirectory(directory);
    const now = statSync(path, { throwIfNoEntry: false });
    return now !== undefined && now.ino === before.ino && now.dev === before.dev ? "added" : "taken away";
  } finally {
    closeSync(file);
  }
}

function endsWithNewline(file: number, size: number): boolean {
  const last = Buffer.alloc(1);
  readSync(file, last, 0, 1, size - 1);
  return last.toString() === "\n";
}

/** Removes a file; one that is gone already is none the worse. */
export function removeFile(directory: string, name: string): void {
  const path = join(directory, name);
  spoken("removed", path, () => {
    try {
      unlinkSync(path);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return;
      throw error;
    }
    flushDirectory(directory);
  });
}

/** Gives a file another name, in the place of whatever had that; this needs no room on the disk. */
export function renameFile(directory: string, name: string, newName: string): void {
  const path = join(directory, newName);
  spoken("written", path, () => {
    renameSync(join(directory, name), path);
    flushDirectory(directory);
  });
}

/** Gives a file that is not what it should be another name, and says which; `null` when it is gone. */
export function setAside(directory: string, name: string): string | null {
  const path = join(directory, name);
  return spoken("set aside", path, () => {
    let aside = `${path}.damaged`;
    // What was set aside before is evidence as well: it is not written over, and a directory could not be.
    if (lstatSync(aside, { throwIfNoEntry: false }) !== undefined) aside = `${aside}-${randomUUID()}`;
    try {
      renameSync(path, aside);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return null;
      throw error;
    }
    flushDirectory(directory);
    return aside;
  });
}

/** Removes what crashes have left of writes that never ended. */
export function removeOldTemporaries(directory: string): void {
  for (const name of listDirectory(directory)) {
    if (!name.startsWith(TEMPORARY_PREFIX)) continue;
    const stat = lstatSync(join(directory, name), { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > TEMPORARY_LIFE_MS) removeFile(directory, name);
  }
}

/** @throws HoldlineError unless this process may make, replace and remove files in the directory. */
export function demandWritable(directory: string): void {
  const name = `${TEMPORARY_PREFIX}${randomUUID()}`;
  const path = join(directory, name);
  // Tried, not asked: permissions say nothing of file systems that are mounted read-only or full.
  spoken("written", path, () => {
    closeSync(openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
    unlinkSync(path);
  });
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
}

// A file's name is on disk only once its directory is.
function flushDirectory(path: string): void {
  let directory: number | null = null;
  try {
    directory = openSync(path, O_RDONLY);
    fsyncSync(directory);
  } catch (error) {
    // Some file systems cannot do it, and a directory above the state directory may be closed to this user's eyes.
    if (!["EINVAL", "EACCES"].includes(codeOf(error))) throw error;
  } finally {
    if (directory !== null) closeSync(directory);
  }
}

function spoken<T>(done: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new HoldlineError("configuration", `${path} could not be ${done}: ${messageOf(error)}`, {
      hint: "`state_dir` must be a directory that this user may write to, on a file system with room",
      cause: error,
    });
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}
