// What the kernel says of processes in /proc. Where there is no /proc, or it shows another pid namespace than this process
// lives in, the answers are `null`, and the callers make do without.
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import type { ProcessIdentity } from "./locks/claim.js";

/** A process as `/proc/<pid>/stat` shows it. */
export interface ProcessStat {
  readonly pid: number;
  /** The kernel's name of it, cut to 15 bytes. The process may have chosen it itself: any bytes at all. */
  readonly comm: string;
  /** It has ended, and its parent has not noticed yet (a zombie). */
  readonly ended: boolean;
  /** It is stopped, as by Ctrl-Z. */
  readonly stopped: boolean;
  readonly parent: number;
  readonly group: number;
  /** The number of its controlling terminal; 0 for none. */
  readonly terminal: number;
  /** The process group that this terminal talks to; -1 without a terminal. */
  readonly foreground: number;
  readonly startTicks: number;
}

// The kernel gives start times in USER_HZ: 100 on every architecture that Node runs on, whatever the kernel's own rate.
const NANOSECONDS_PER_TICK = 10_000_000n;

/** Reads the text of a `stat` file; `null` for anything else. */
export function parseStat(text: string): ProcessStat | null {
  // The name stands in parentheses and may itself hold spaces and parentheses: the last one ends it.
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < open) return null;
  // Numbered from 3 in proc(5): state 3, ppid 4, pgrp 5, tty_nr 7, tpgid 8, num_threads 20, starttime 22.
  const fields = text.slice(close + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  const [pid, parent, group, threads, startTicks] = [Number(text.slice(0, open)), field(4), field(5), field(20), field(22)];
  const [terminal, foreground] = [field(7), field(8)];
  if (![pid, parent, group, terminal, foreground, threads, startTicks].every(Number.isSafeInteger)) return null;
  // If the first thread of a process ends before others do, the process shows as a zombie with more than one thread.
  const ended = ["Z", "X", "x"].includes(fields[0] as string) && threads <= 1;
  return {
    pid,
    comm: text.slice(open + 1, close),
    ended,
    stopped: fields[0] === "T",
    parent,
    group,
    terminal,
    foreground,
    startTicks,
  };
}

/** A process as it is now; `null` when none has this pid, or /proc hides it from this user. */
export function readStat(pid: number | "self"): ProcessStat | null {
  const text = readProc(`/proc/${pid}/stat`);
  return text === null ? null : parseStat(text);
}

/** Whether this process's terminal talks to its process group: not in the background, and not without a terminal. */
export function isInForeground(): boolean {
  const stat = readStat("self");
  return stat !== null && stat.terminal !== 0 && stat.foreground === stat.group;
}

let own: ProcessStat | null | undefined;

/** This process; `null` where /proc is of no use: missing, or mounted from another pid namespace. */
export function ownStat(): ProcessStat | null {
  if (own === undefined) {
    const stat = readStat("self");
    own = stat?.pid === process.pid ? stat : null;
  }
  return own;
}

let identity: ProcessIdentity | undefined;

/** This process's identity, which does not change. */
export function ownIdentity(): ProcessIdentity {
  const stat = ownStat();
  identity ??= {
    bootId: readProc("/proc/sys/kernel/random/boot_id")?.trim() ?? null,
    pidNamespace: stat === null ? null : readPidNamespace(),
    pid: process.pid,
    startTicks: stat?.startTicks ?? null,
  };
  return identity;
}

/** The identity of another process on this machine; without start ticks when it is gone already. */
export function identityOf(pid: number): ProcessIdentity {
  return { ...ownIdentity(), pid, startTicks: ownStat() === null ? null : (readStat(pid)?.startTicks ?? null) };
}

/** Whether an identity is of this boot and this pid namespace, so that its pid means something here. */
export function isWithinSight(other: ProcessIdentity): boolean {
  const self = ownIdentity();
  return other.bootId === self.bootId && other.pidNamespace === self.pidNamespace;
}

/**
 * Clock ticks since boot, in the unit and from the origin of {@link ProcessStat.startTicks}, and rounded down as those are:
 * no process that starts after this call has fewer.
 */
export function ticksNow(): number | null {
  const self = ownStat();
  if (self === null) return null;
  const uptime = ticksOfUptime(readProc("/proc/uptime") ?? "");
  // Containers of LXC see the container's uptime there, but start times on the host's clock, so that every process would seem
  // to have started in the future. The monotonic clock has the host's origin as well, and is behind the true uptime only by
  // the time that the machine was suspended. The later of the two is right.
  return Math.max(uptime ?? 0, Number(process.hrtime.bigint() / NANOSECONDS_PER_TICK), self.startTicks);
}

/** The text of `/proc/uptime`, such as "1273.49 2434.78", in ticks; `null` for anything else. */
export function ticksOfUptime(text: string): number | null {
  // Two decimals of a second are ticks. Taken as digits, they need no rounding.
  const digits = /^(\d+)\.(\d\d) /.exec(text);
  return digits === null ? null : Number(`${digits[1]}${digits[2]}`);
}

/** The pids of all processes that this user may see. */
export function listPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The arguments of a process; none for kernel threads and zombies, `null` when the process is gone. */
export function readArguments(pid: number): string[] | null {
  const text = readProc(`/proc/${pid}/cmdline`);
  return text === null ? null : splitArguments(text);
}

/** The arguments in the text of a `cmdline` file, without empty ones at its end, which may be padding. */
export function splitArguments(text: string): string[] {
  // The look-behind lets the pattern try a run of empty arguments at its beginning only: a run may have a million of them.
  const trimmed = text.replace(/(?<!\0)\0+$/, "");
  return trimmed === "" ? [] : trimmed.split("\0");
}

/** The effective user of a process; `null` when it is gone. */
export function readUid(pid: number): number | null {
  const ids = /^Uid:\s+\d+\s+(\d+)/m.exec(readProc(`/proc/${pid}/status`) ?? "");
  return ids === null ? null : Number(ids[1]);
}

/** Whether a process lives in a pid namespace below this process's own, as the processes of containers do. */
export function isInInnerNamespace(pid: number): boolean {
  // One pid for each namespace from this one down. Unlike `ns/pid`, everybody may read it. Kernels before 4.1 lack the line.
  const pids = /^NSpid:\s+(.*)$/m.exec(readProc(`/proc/${pid}/status`) ?? "")?.[1] ?? "";
  return pids.trim().split(/\s+/).length > 1;
}

/** The environment that a process had when its program started; `undefined` where this user may not read it, `null` when it is gone. */
export function readEnvironment(pid: number): string | null | undefined {
  try {
    // Latin-1 keeps all bytes apart, and callers look for ASCII only.
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (code === "EACCES" || code === "EPERM") return undefined;
    if (NOT_THERE.includes(code)) return null;
    throw error;
  }
}

function readPidNamespace(): string | null {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    // An old or a restricted kernel has no namespaces to tell apart.
    return null;
  }
}

// The process ended before or during the read, or /proc hides it from this user. Any other error, such as too many open files,
// must not make a living process look dead.
const NOT_THERE = ["ENOENT", "ESRCH", "EACCES", "EPERM", "ENOTDIR"];

function readProc(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (NOT_THERE.includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}
