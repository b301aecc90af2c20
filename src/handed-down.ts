// What this process was handed by the one that started it, beside arguments and environment, and what node has changed of it
// since: open descriptors, the limit of open files, ignored signals. Looked for at the very start, before anything is opened.
import { constants } from "node:os";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface HandedDown {
  /** Descriptors from 3 on, in order. */
  readonly descriptors: readonly number[];
  /** The soft limit of open files as it was before node raised it; `null` where that is not known, or nothing has changed. */
  readonly openFiles: number | null;
  /** The numbers of signals that the caller has had ignored. */
  readonly ignored: readonly number[];
}

export const NOTHING_HANDED_DOWN: HandedDown = { descriptors: [], openFiles: null, ignored: [] };

/** Looks. To be called once, as the first thing that the program does. Where there is no /proc, nothing is known. */
export function lookAtHandedDown(): HandedDown {
  return { descriptors: descriptorsHere(), openFiles: openFilesHere(), ignored: ignoredHere() };
}

interface Descriptor {
  readonly number: number;
  /** Where its link leads, such as `pipe:[4711]`. */
  readonly target: string;
}

const O_CLOEXEC = 0o2000000;
/** The part of the flags that says whether it is open for reading, writing or both. */
const ACCESS = 3;
const WRITE_ONLY = 1;
// Node opens the first of its own /dev/null after its event loop and that loop's pipes: what has fewer descriptors of
// node's own before it was there already.
const OWN_BEFORE_NULL = 5;

function descriptorsHere(): number[] {
  const own: number[] = [];
  const handed: number[] = [];
  const seen = listDescriptors("self").filter(({ number }) => number > 2);
  const ends = new Map<string, number>();
  for (const { target } of seen) ends.set(target, (ends.get(target) ?? 0) + 1);
  let parents: ReadonlySet<string> | null = null;
  for (const { number, target } of seen) {
    (isNodes() ? own : handed).push(number);
    /** Node marks what it was given as it marks its own: so only the kind tells them apart. */
    function isNodes(): boolean {
      if (/^anon_inode:\[(eventpoll|eventfd|io_uring)\]$/.test(target)) return true;
      const isNull = target === "/dev/null";
      if (!isNull && ends.get(target) !== 2) return false;
      const flags = flagsOf(number);
      if ((flags & O_CLOEXEC) === 0) return false;
      if (isNull) return (flags & ACCESS) === 0 && own.length >= OWN_BEFORE_NULL;
      // Node holds both ends of its pipes and nobody else has them. Of make's job server both ends are handed down as well.
      if (!target.startsWith("pipe:")) return false;
      parents ??= new Set(listDescriptors(process.ppid).map((each) => each.target));
      return !parents.has(target);
    }
  }
  return handed;
}

function listDescriptors(pid: number | "self"): Descriptor[] {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return []; // No /proc, or another user's process.
  }
  const found = names.map(Number).map((number): Descriptor | null => {
    try {
      return { number, target: readlinkSync(`/proc/${pid}/fd/${number}`) };
    } catch {
      return null; // The one by which the list was read.
    }
  });
  return found.filter((descriptor) => descriptor !== null).sort((one, other) => one.number - other.number);
}

/** As open(2) has them, of a descriptor of this process. */
function flagsOf(number: number): number {
  return Number.parseInt(/^flags:\s+([0-7]+)$/m.exec(readProc("self", `fdinfo/${number}`))?.[1] ?? "0", 8);
}

/**
 * Node raises the soft limit to the hard one and keeps no note of it, but the process that started this one has it still:
 * unless the hard limits differ, in which case limits were set in between.
 */
function openFilesHere(): number | null {
  const [own, parents] = [limitOf("self"), limitOf(process.ppid)];
  if (own === null || parents === null || own.hard !== parents.hard || parents.soft === own.soft) return null;
  return /^\d+$/.test(parents.soft) ? Number(parents.soft) : null;
}

function limitOf(pid: number | "self"): { readonly soft: string; readonly hard: string } | null {
  const [, soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readProc(pid, "limits")) ?? [];
  return soft === undefined || hard === undefined ? null : { soft, hard };
}

const { SIGHUP, SIGTERM, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGCHLD } = constants.signals;
const SHELLS = ["sh", "bash", "dash", "ash", "busybox", "ksh", "mksh", "zsh"];
/** What a shell ignores for itself and not for what it starts: bash the first one always. */
const OWN_OF_SHELLS = [SIGQUIT, SIGCHLD];
const OWN_OF_INTERACTIVE = [...OWN_OF_SHELLS, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU];

/**
 * Node takes every signal back to what it does by default, the hangup of `nohup` too. What a shell script ignores (`trap ''`),
 * its commands ignore; other programs often ignore for themselves alone, but for the hangup.
 */
function ignoredHere(): number[] {
  const status = readProc(process.ppid, "status");
  const mask = BigInt(`0x${/^SigIgn:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  // Real-time signals are nobody's custom.
  const all = Array.from({ length: 31 }, (_, index) => index + 1).filter((signal) => (mask >> BigInt(signal - 1)) & 1n);
  const isShell = SHELLS.includes(/^Name:\s+(.*)$/m.exec(status)?.[1] ?? "");
  const isInteractive = [SIGTSTP, SIGTTIN, SIGTTOU].every((signal) => all.includes(signal));
  const own = isInteractive ? OWN_OF_INTERACTIVE : OWN_OF_SHELLS;
  const known = all.filter((signal) => (isShell ? !own.includes(signal) : signal === SIGHUP));
  return isUnderNohup() && !known.includes(SIGHUP) ? [SIGHUP, ...known] : known;
}

/** `nohup` becomes what it starts, and leaves its mark only where it was called on a terminal: an input that cannot be read, or its output file. */
function isUnderNohup(): boolean {
  const standard = listDescriptors("self").filter(({ number }) => number <= 2);
  return standard.some(({ number, target }) =>
    number === 0 ? target === "/dev/null" && (flagsOf(0) & ACCESS) === WRITE_ONLY : target.endsWith("/nohup.out"),
  );
}

function readProc(pid: number | "self", name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return "";
  }
}
