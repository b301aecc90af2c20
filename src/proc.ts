// What the kernel says of processes in /proc, read as it is. Where there is no /proc, or it shows another pid namespace
// than this process lives in, everything here says so with `null`, and others make do without.
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import type { ProcessIdentity } from "./locks/claim.js";

/** A process as `/proc/<pid>/stat` shows it. */
export interface ProcessStat {
  readonly pid: number;
  /** The kernel's name of it, cut to 15 bytes, which the process may have chosen itself: any bytes at all. */
  readonly comm: string;
  /** It has ended, and only its parent has not noticed yet (a zombie). */
  readonly ended: boolean;
  /** It has been stopped, as by Ctrl-Z. */
  readonly stopped: boolean;
  readonly parent: number;
  readonly group: number;
  /** The number of its controlling terminal; 0 for none. */
  readonly terminal: number;
  /** The process group that this terminal listens to; -1 without a terminal. */
  readonly foreground: number;
  readonly startTicks: number;
}

// Start times are given in USER_HZ: 100 on every architecture that Node runs on, whatever the kernel's own rate.
const NANOSECONDS_PER_TICK = 10_000_000n;

/** Reads the text of a `stat` file; `null` for anything else. */
export function parseStat(text: string): ProcessStat | null {
  // The name stands in parentheses and may hold spaces and parentheses itself: only the last one ends it.
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < open) return null;
  // Numbered from 3 in proc(5): state 3, ppid 4, pgrp 5, tty_nr 7, tpgid 8, num_threads 20, starttime 22.
  const fields = text.slice(close + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  const [pid, parent, group, threads, startTicks] = [Number(text.slice(0, open)), field(4), field(5), field(20), field(22)];
  const [terminal, foreground] = [field(7), field(8)];
  if (![pid, parent, group, terminal, foreground, threads, startTicks].every(Number.isSafeInteger)) return null;
  // The first thread of a process may have ended while others go on: it shows as a zombie with more than one thread.
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

/** A process as it is now; `null` when there is none with this pid, or it is hidden from this user. */
export function readStat(pid: number | "self"): ProcessStat | null {
  const text = readProc(`/proc/${pid}/stat`);
  return text === null ? null : parseStat(text);
}

/** Does this process's terminal listen to its process group? Not in the background, and not without a terminal. */
export function isInForeground(): boolean {
  const stat = readStat("self");
  return stat !== null && stat.terminal !== 0 && stat.foreground === stat.group;
}

let own: ProcessStat | null | undefined;

/** This process, or `null` where /proc is of no use: not there, or mounted from another pid namespace. */
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

/** Was it made in this boot and this pid namespace, so that its pid means something here? */
export function isWithinSight(other: ProcessIdentity): boolean {
  const self = ownIdentity();
  return other.bootId === self.bootId && other.pidNamespace === self.pidNamespace;
}

/**
 * Clock ticks since boot, in the unit and from the origin of {@link ProcessStat.startTicks}, rounded down as those are:
 * no process that starts after this was read has fewer.
 */
export function ticksNow(): number | null {
  const self = ownStat();
  if (self === null) return null;
  const uptime = ticksOfUptime(readProc("/proc/uptime") ?? "");
  // Containers of LXC see the container's uptime there, but start times on the host's clock: with them every process
  // would seem to have started later than now. The monotonic clock has the host's origin as well, and is behind the
  // true uptime only by the time that the machine was suspended: the later of the two is right.
  return Math.max(uptime ?? 0, Number(process.hrtime.bigint() / NANOSECONDS_PER_TICK), self.startTicks);
}

/** The text of `/proc/uptime`, such as "1273.49 2434.78", in ticks; `null` for anything else. */
export function ticksOfUptime(text: string): number | null {
  // Two decimals of a second are ticks: taken as digits, so that no rounding of fractions comes in.
  const digits = /^(\d+)\.(\d\d) /.exec(text);
  return digits === null ? null : Number(`${digits[1]}${digits[2]}`);
}

/** The pids of all processes that this user may see. */
export function listPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The arguments of a process; empty for kernel threads and zombies, `null` when it is gone. */
export function readArguments(pid: number): string[] | null {
  const text = readProc(`/proc/${pid}/cmdline`);
  return text === null ? null : splitArguments(text);
}

/** The arguments in the text of a `cmdline` file, without empty ones at its end, which may be padding. */
export function splitArguments(text: string): string[] {
  // The look-behind has a run of empty arguments tried from its beginning alone: there may be a million of them.
  const trimmed = text.replace(/(?<!\0)\0+$/, "");
  return trimmed === "" ? [] : trimmed.split("\0");
}

/** The effective user of a process; `null` when it is gone. */
export function readUid(pid: number): number | null {
  const ids = /^Uid:\s+\d+\s+(\d+)/m.exec(readProc(`/proc/${pid}/status`) ?? "");
  return ids === null ? null : Number(ids[1]);
}

/** Does a process live in a pid namespace below this process's own, as those of containers do? */
export function isInInnerNamespace(pid: number): boolean {
  // One pid for each namespace from this one down. Everybody may read it, unlike `ns/pid`; kernels before 4.1 have no such line.
  const pids = /^NSpid:\s+(.*)$/m.exec(readProc(`/proc/${pid}/status`) ?? "")?.[1] ?? "";
  return pids.trim().split(/\s+/).length > 1;
}

/** What a process had in its environment when its program started, `undefined` where this user may not read it, `null` when it is gone. */
export function readEnvironment(pid: number): string | null | undefined {
  try {
    // Latin-1 keeps any bytes apart; what is sought in it is ASCII.
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
    // An old or a restricted kernel: without namespaces to tell apart, none is known.
    return null;
  }
}

// Gone before or while it was read, or hidden from this user. Any other error, such as too many open files, must not
// make a process that lives look dead.
const NOT_THERE = ["ENOENT", "ESRCH", "EACCES", "EPERM", "ENOTDIR"];

function readProc(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (NOT_THERE.includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}
