// What this process was handed by the one that started it, beside arguments and environment, and what node has changed of it
// since: open descriptors, the limit of open files, ignored signals. Looked for at the very start, before anything is opened.
import { constants } from "node:os";
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";

export interface HandedDown {
  /** Descriptors from 3 on, in order. */
  readonly descriptors: readonly number[];
  /** The soft limit of open files as it was before node raised it; `null` where that is not known, or nothing has changed. */
  readonly openFiles: number | null;
  /** The numbers of signals that the caller has had ignored. */
  readonly ignored: readonly number[];
}

export const NOTHING_HANDED_DOWN: HandedDown = { descriptors: [], openFiles: null, ignored: [] };

/**
 * Looks. To be called once, as the first thing that the program does, which each of its starts has to wait for. Where there is
 * no /proc, nothing is known.
 */
export function lookAtHandedDown(): HandedDown {
  const open = openHere();
  return { descriptors: descriptorsAmong(open), openFiles: openFilesHere(), ignored: ignoredHere(isUnderNohup(open)) };
}

/** Where the links of this process's descriptors lead, such as `pipe:[4711]`, by their numbers in order. */
type Open = readonly (readonly [number: number, target: string])[];

function openHere(): Open {
  let names: string[];
  try {
    names = readdirSync("/proc/self/fd");
  } catch {
    return [];
  }
  const numbers = names.map(Number).sort((one, other) => one - other);
  return numbers.flatMap((number) => {
    const target = linkOf("self", number);
    return target === null ? [] : [[number, target] as const]; // The one by which the list was read is gone.
  });
}

function linkOf(pid: number | "self", number: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/fd/${number}`);
  } catch {
    return null;
  }
}

// Node opens the first of its own /dev/null after its event loop and that loop's pipes: what has fewer descriptors of
// node's own before it was there already.
const OWN_BEFORE_NULL = 5;
// Up to this number node marks what it was given as it marks its own, to be closed in what it starts; above it only to the
// first gap.
const ALWAYS_MARKED = 15;
const O_CLOEXEC = 0o2000000;
/** The part of the flags that says whether it is open for reading, writing or both. */
const ACCESS = 3;
const WRITE_ONLY = 1;

// Texts are taken apart without regular expressions here: each has to be compiled, at every start.
const OWN_KINDS = ["anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[io_uring]"];

/** The mark does not tell node's own from what it was given, so the kind has to. */
function descriptorsAmong(open: Open): number[] {
  const ends = new Map<string, number>();
  for (const [, target] of open) ends.set(target, (ends.get(target) ?? 0) + 1);
  let own = 0;
  const isNodes = (number: number, target: string): boolean => {
    if (OWN_KINDS.includes(target)) return true;
    const isNull = target === "/dev/null";
    // Node holds both ends of its pipes.
    if (isNull ? own < OWN_BEFORE_NULL : !target.startsWith("pipe:") || ends.get(target) !== 2) return false;
    const flags = isNull || number > ALWAYS_MARKED ? flagsOf(number) : O_CLOEXEC;
    if ((flags & O_CLOEXEC) === 0) return false;
    // Both ends of make's job server are handed down, by the same numbers that they have above.
    return isNull ? (flags & ACCESS) === 0 : linkOf(process.ppid, number) !== target;
  };
  return open.flatMap(([number, target]) => {
    if (number <= 2) return [];
    if (!isNodes(number, target)) return [number];
    own += 1;
    return [];
  });
}

/** As open(2) has them, of a descriptor of this process. */
function flagsOf(number: number): number {
  return Number.parseInt(fieldOf(readProc("self", `fdinfo/${number}`), "flags:") || "0", 8);
}

/** `nohup` becomes what it starts, and leaves its mark only where it was called on a terminal: an input that cannot be read, or its output file. */
function isUnderNohup(open: Open): boolean {
  return open.some(([number, target]) => {
    if (number === 0) return target === "/dev/null" && (flagsOf(0) & ACCESS) === WRITE_ONLY;
    return number <= 2 && target.endsWith("/nohup.out");
  });
}

/**
 * Node raises the soft limit to the hard one and keeps no note of it, but the process that started this one has it still:
 * unless the hard limits differ, in which case limits were set in between.
 */
function openFilesHere(): number | null {
  const parents = limitOf(process.ppid);
  // Where it was the hard one all along there was nothing to raise.
  if (parents === null || parents.soft === parents.hard || limitOf("self")?.hard !== parents.hard) return null;
  const soft = Number(parents.soft);
  return Number.isSafeInteger(soft) ? soft : null; // It may be "unlimited".
}

function limitOf(pid: number | "self"): { readonly soft: string; readonly hard: string } | null {
  const [soft, hard] = fieldOf(readProc(pid, "limits"), "Max open files")
    .split(" ")
    .filter((word) => word !== "");
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
function ignoredHere(underNohup: boolean): number[] {
  const status = readProc(process.ppid, "status");
  // Sixteen digits: the real-time signals, which are nobody's custom, are the first half.
  const mask = Number.parseInt(fieldOf(status, "SigIgn:").slice(-8) || "0", 16);
  const all = Array.from({ length: 31 }, (_, index) => index + 1).filter((signal) => (mask >>> (signal - 1)) & 1);
  const isShell = SHELLS.includes(fieldOf(status, "Name:"));
  const isInteractive = [SIGTSTP, SIGTTIN, SIGTTOU].every((signal) => all.includes(signal));
  const own = isInteractive ? OWN_OF_INTERACTIVE : OWN_OF_SHELLS;
  const known = all.filter((signal) => (isShell ? !own.includes(signal) : signal === SIGHUP));
  return underNohup && !known.includes(SIGHUP) ? [SIGHUP, ...known] : known;
}

/** What follows a word in a line of a text; empty where the word is not there. */
function fieldOf(text: string, word: string): string {
  const at = text.indexOf(word);
  return at < 0 ? "" : text.slice(at + word.length, text.indexOf("\n", at)).trim();
}

// The longest that is read here has a page of text at most.
const bytes = Buffer.alloc(8_192);

function readProc(pid: number | "self", name: string): string {
  try {
    const file = openSync(`/proc/${pid}/${name}`, "r");
    try {
      return bytes.toString("latin1", 0, readSync(file, bytes, 0, bytes.length, null));
    } finally {
      closeSync(file);
    }
  } catch {
    return "";
  }
}
