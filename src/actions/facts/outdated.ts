// Whether a process runs from files that have been replaced or deleted since it mapped them, as after an upgrade of a library: the
// sign `needed.outdated`. Looks at the program and at mapped code, as needrestart does; scripts of an interpreter it does not know.
import { readFile, readlink, stat } from "node:fs/promises";
import type { OutdatedFact } from "../../gates/needed.js";
import { sanitize } from "../../locks/text.js";
import { ownStat } from "../../proc.js";
import type { RunningProcess } from "../machine.js";

/** Looks at processes in their order, up to the first that is outdated. */
export async function lookForOutdated(running: readonly RunningProcess[]): Promise<OutdatedFact> {
  if (running.length === 0) return { found: "no-process" };
  if (ownStat() === null) return { found: "problem", problem: "`outdated` needs /proc, which this machine does not have" };
  let unseen: string | null = null;
  for (const { pid } of running) {
    try {
      const file = (await outdatedProgram(pid)) ?? (await outdatedMapping(pid));
      if (file !== null) return { found: "outdated", pid, ...file, path: sanitize(file.path) };
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      // It has ended meanwhile.
      if (code === "ENOENT" || code === "ESRCH") continue;
      if (code !== "EACCES" && code !== "EPERM") throw error;
      unseen ??= `process ${pid} is another user's, and this one may not see what it runs from: run holdline as root or as that user`;
    }
  }
  return unseen === null ? { found: "up-to-date", processes: running.length } : { found: "problem", problem: unseen };
}

interface OutdatedFile {
  readonly path: string;
  readonly became: "deleted" | "replaced";
}

const DELETED = " (deleted)";

async function outdatedProgram(pid: number): Promise<OutdatedFile | null> {
  const target = await readlink(`/proc/${pid}/exe`);
  if (!target.endsWith(DELETED)) return null;
  return (await isNamedSo(pid, target)) ? null : becameOf(pid, target.slice(0, -DELETED.length));
}

/** A mapping of a process, as a line of `/proc/<pid>/maps` has it. */
export interface Mapping {
  readonly path: string;
  /** `major:minor`, in hexadecimal digits. */
  readonly device: string;
  readonly inode: string;
}

/** The mappings of code in the text of a `maps` file, each file once, without those that are no files of a package. */
export function codeMappings(text: string): Mapping[] {
  const found = new Map<string, Mapping>();
  for (const line of text.split("\n")) {
    // Such as "7f0a4c021000-7f0a4c196000 r-xp 00026000 08:01 1835 /usr/lib/x86_64-linux-gnu/libc.so.6". A newline in a path is \012.
    const [, flags, device, inode, path] =
      /^[0-9a-f]+-[0-9a-f]+ (\S+) [0-9a-f]+ ([0-9a-f]+:[0-9a-f]+) (\d+) +(\/.*)$/.exec(line) ?? [];
    if (flags === undefined || device === undefined || inode === undefined || path === undefined) continue;
    if (!flags.includes("x") || inode === "0" || NO_PACKAGE.some((pattern) => pattern.test(path))) continue;
    found.set(`${path} ${inode}`, { path: path.replaceAll("\\012", "\n"), device, inode });
  }
  return [...found.values()];
}

// needrestart's list: memory that has a name (memfd, System V, aio, huge pages), devices, and what compilers at run time map and
// delete at once.
const NO_PACKAGE = [
  /^\/(?:SYSV|memfd:|\[aio\]|anon_hugepage|drm(?: |$)|i915|dev\/)/,
  /^(?:\/var)?\/(?:tmp|run)\//,
  /\/orcexec\.\w+(?: \(deleted\))?$/,
  /\/jffi\d+\.tmp(?: \(deleted\))?$/,
  /\/#\d+(?: \(deleted\))?$/,
];

async function outdatedMapping(pid: number): Promise<OutdatedFile | null> {
  for (const { path, device, inode } of codeMappings(await readFile(`/proc/${pid}/maps`, "utf8"))) {
    if (path.endsWith(DELETED)) {
      if (!(await isNamedSo(pid, path))) return becameOf(pid, path.slice(0, -DELETED.length));
      continue;
    }
    const now = await statIn(pid, path);
    if (now === null) return { path, became: "deleted" };
    // Overlays, btrfs and the like show numbers in `maps` that are not those of the file: then only "deleted" tells.
    if (deviceOf(now.dev) === deviceOf(device) && String(now.ino) !== inode) return { path, became: "replaced" };
  }
  return null;
}

/** Whether the file's own name ends with what the kernel adds to names that are gone. */
async function isNamedSo(pid: number, path: string): Promise<boolean> {
  return (await statIn(pid, path)) !== null;
}

async function becameOf(pid: number, path: string): Promise<OutdatedFile> {
  return { path, became: (await statIn(pid, path)) === null ? "deleted" : "replaced" };
}

/** A file as the process sees it: it may live in a root of its own. `null`: there is none. */
async function statIn(pid: number, path: string) {
  try {
    return await stat(`/proc/${pid}/root${path}`, { bigint: true });
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOTDIR") return null;
    if (code !== "ENOENT") throw error;
    // The file is gone, or the process.
    await stat(`/proc/${pid}/root`);
    return null;
  }
}

/** A device's number in one form. */
function deviceOf(device: string | bigint): string {
  if (typeof device === "string")
    return device
      .split(":")
      .map((part) => Number.parseInt(part, 16))
      .join(":");
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
