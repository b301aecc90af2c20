// Which process this is, and whether another that has written itself down still lives. Reads /proc where there is one.
import { readFileSync, readlinkSync } from "node:fs";
import { areOfTwoBoots, isSameProcess, type ProcessIdentity } from "../../locks/claim.js";

/** This process. */
export function readOwnIdentity(): ProcessIdentity {
  return {
    bootId: readBootId(),
    pidNamespace: readOrNull(() => readlinkSync("/proc/self/ns/pid")),
    pid: process.pid,
    startTicks: readStat(process.pid)?.startTicks ?? null,
  };
}

/** The kernel's id of this boot; `null` where the system has none. */
export function readBootId(): string | null {
  return readOrNull(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
}

/** Can `self` look at that process, or look for it? */
export function isInSight(identity: ProcessIdentity, self: ProcessIdentity): boolean {
  return identity.bootId === self.bootId && identity.pidNamespace === self.pidNamespace;
}

/**
 * Is that process certainly gone, as far as `self` can see? Of a process in another pid namespace nothing can be said
 * before the next boot: it counts as alive here, because a place in line that is kept too long is better than one that is
 * taken from someone who stands there. See lives.ts for what its session says.
 */
export function isGone(identity: ProcessIdentity, self: ProcessIdentity): boolean {
  if (isSameProcess(identity, self)) return false;
  // The database belongs to this one machine, so that another boot's processes have all ended.
  if (areOfTwoBoots(identity, self)) return true;
  if (!isInSight(identity, self)) return false;
  const stat = readStat(identity.pid);
  if (stat === null) return !hasProcess(identity.pid);
  // A zombie has ended, though nobody has asked for its exit code yet.
  if (stat.hasEnded) return true;
  return identity.startTicks !== null && stat.startTicks !== identity.startTicks;
}

interface ProcessStat {
  readonly startTicks: number;
  readonly hasEnded: boolean;
}

function readStat(pid: number): ProcessStat | null {
  const text = readOrNull(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  if (text === null) return null;
  // The second field is the program's name in parentheses, which may have spaces and parentheses of its own. The
  // first after it is the third, the state; the start is the 22nd.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const startTicks = Number(fields[22 - 3]);
  return Number.isSafeInteger(startTicks) ? { startTicks, hasEnded: fields[0] === "Z" || fields[0] === "X" } : null;
}

/** Where /proc does not show it (there is none, or it hides what belongs to others), the kernel is asked directly. */
function hasProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

function readOrNull(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}
