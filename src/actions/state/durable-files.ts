// Small files that survive a crash. A write is on disk when it returns, whole or not at all. Only the owner can read the files,
// and nothing follows a symbolic link below their directory. Calls are synchronous: they are short, and the caller's next step
// relies on them.
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
// A temporary file lives for one write and one flush. A crash has left one that is this old.
const TEMPORARY_LIFE_MS = 3_600_000;
// Far above anything that Holdline writes. A larger file is something else, and not worth the memory.
const LARGEST_BYTES = 4 * 1_048_576;

/** What a name stands for: a text, nothing, or something that is no such file (a link, a directory, a huge file). */
export type Content = { readonly text: string } | "nothing" | "something else";

/** Makes a directory for its owner alone, with those above it that are missing. A directory that is there may be a link. */
export function makeTopDirectory(path: string): void {
  spoken("made", path, () => makeWithParents(path));
}

// Not node's own `recursive`: that never returns where a directory is there and nobody can make another in it (/proc).
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

/** Makes a directory in one that is there. What already has the name must be a directory, and no link to one. */
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

/** The names in a directory, sorted; none when there is no such directory. */
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
      // Without blocking: a pipe of this name would hold the reader for ever.
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

/** Writes a file in place of whatever had its name. */
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
      // Above all on a full disk: otherwise every try would leave one more file, and the disk would stay full.
      rmSync(temporary, { force: true });
      throw error;
    }
    flushDirectory(directory);
  });
}

/**
 * Adds a line to a file that other processes may write, remove or set aside at the same time, without losing a line of any.
 * @returns whether the line was added: a file of `limitBytes` or more gets no further lines
 */
export function appendLine(directory: string, name: string, line: string, limitBytes: number): boolean {
  const path = join(directory, name);
  // If another process took the file away meanwhile, nobody will look for the line there: add it once more.
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
    // The kernel adds one write as one piece at the end, wherever that is by then. A line that a crash cut off gets its end first.
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

/** Removes a file; it is no error if the file is gone already. */
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

/** Gives a file another name, in place of whatever had that name. Needs no room on the disk. */
export function renameFile(directory: string, name: string, newName: string): void {
  const path = join(directory, newName);
  spoken("written", path, () => {
    renameSync(join(directory, name), path);
    flushDirectory(directory);
  });
}

/** Gives a damaged file another name. @returns its new path; `null` when the file is gone */
export function setAside(directory: string, name: string): string | null {
  const path = join(directory, name);
  return spoken("set aside", path, () => {
    let aside = `${path}.damaged`;
    // What was set aside before is evidence as well, and stays. (A directory could not be written over anyway.)
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

/** Removes the temporary files of writes that a crash cut off. */
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
  // By trying: permissions say nothing of a file system that is mounted read-only, or is full.
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
    // Some file systems cannot flush directories, and this user may not be able to read one above the state directory.
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
