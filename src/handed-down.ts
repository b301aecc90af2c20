// What this process got from its caller beside arguments and environment: open descriptors, the limit of open files, ignored
// signals. Node changes some of that as it starts. This looks at the very start of the program, before anything is opened.
import { constants } from "node:os";
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";

export interface HandedDown {
  /** Descriptors from 3 on, in order. */
  readonly descriptors: readonly number[];
  /** The soft limit of open files before node raised it; `null` where nobody knows it, or node has changed nothing. */
  readonly openFiles: number | null;
  /** The numbers of the signals that the caller wants ignored. */
  readonly ignored: readonly number[];
}

export const NOTHING_HANDED_DOWN: HandedDown = { descriptors: [], openFiles: null, ignored: [] };

/**
 * Looks. Call it once, as the first thing that the program does, and keep it fast: every start waits for it. Where there is no
 * /proc, it finds nothing.
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
    return target === null ? [] : [[number, target] as const]; // The descriptor by which the list was read is gone.
  });
}

function linkOf(pid: number | "self", number: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/fd/${number}`);
  } catch {
    return null;
  }
}

// Node opens its first /dev/null after its event loop and that loop's pipes. A /dev/null with fewer of node's own descriptors
// before it comes from the caller.
const OWN_BEFORE_NULL = 5;
// Node marks descriptors so that they close in what it starts: its own, and the caller's up to this number, and above it up to
// the first gap.
const ALWAYS_MARKED = 15;
const O_CLOEXEC = 0o2000000;
/** The bits of the flags that say whether a descriptor is open for reading, writing or both. */
const ACCESS = 3;
const WRITE_ONLY = 1;

// No regular expressions here: each start would have to compile them.
const OWN_KINDS = ["anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[io_uring]"];

/** The caller's descriptors. Node's mark does not tell them from its own, so their kind has to. */
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
    // A make hands down both ends of its job server, by the numbers that they have in the parent.
    return isNull ? (flags & ACCESS) === 0 : linkOf(process.ppid, number) !== target;
  };
  return open.flatMap(([number, target]) => {
    if (number <= 2) return [];
    if (!isNodes(number, target)) return [number];
    own += 1;
    return [];
  });
}

/** The flags of a descriptor of this process, as open(2) has them. */
function flagsOf(number: number): number {
  return Number.parseInt(fieldOf(readProc("self", `fdinfo/${number}`), "flags:") || "0", 8);
}

/** `nohup` becomes the program that it starts. It leaves a trace only if it was called on a terminal: an input that cannot be read, or its output file. */
function isUnderNohup(open: Open): boolean {
  return open.some(([number, target]) => {
    if (number === 0) return target === "/dev/null" && (flagsOf(0) & ACCESS) === WRITE_ONLY;
    return number <= 2 && target.endsWith("/nohup.out");
  });
}

/**
 * Node raises the soft limit to the hard one and forgets the old one. The parent process still has it, unless the hard limits
 * differ: then somebody set limits in between.
 */
function openFilesHere(): number | null {
  const parents = limitOf(process.ppid);
  // If it was the hard one all along, node had nothing to raise.
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
/** The signals that a shell ignores for itself and not for what it starts. Bash always ignores the first. */
const OWN_OF_SHELLS = [SIGQUIT, SIGCHLD];
const OWN_OF_INTERACTIVE = [...OWN_OF_SHELLS, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU];

/**
 * Node resets every signal to its default, even the hangup that `nohup` ignores. The commands of a shell script ignore what the
 * script ignores (`trap ''`). Other programs often ignore a signal for themselves alone, except the hangup.
 */
function ignoredHere(underNohup: boolean): number[] {
  const status = readProc(process.ppid, "status");
  // Sixteen digits. The first half is the real-time signals, which nobody ignores.
  const mask = Number.parseInt(fieldOf(status, "SigIgn:").slice(-8) || "0", 16);
  const all = Array.from({ length: 31 }, (_, index) => index + 1).filter((signal) => (mask >>> (signal - 1)) & 1);
  const isShell = SHELLS.includes(fieldOf(status, "Name:"));
  const isInteractive = [SIGTSTP, SIGTTIN, SIGTTOU].every((signal) => all.includes(signal));
  const own = isInteractive ? OWN_OF_INTERACTIVE : OWN_OF_SHELLS;
  const known = all.filter((signal) => (isShell ? !own.includes(signal) : signal === SIGHUP));
  return underNohup && !known.includes(SIGHUP) ? [SIGHUP, ...known] : known;
}

/** What follows a word in a line of a text; empty where the text lacks the word. */
function fieldOf(text: string, word: string): string {
  const at = text.indexOf(word);
  return at < 0 ? "" : text.slice(at + word.length, text.indexOf("\n", at)).trim();
}

// The longest of these files has a page of text at most.
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
