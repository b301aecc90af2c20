// Which process this is, and whether another one lives. Tells no more than this process can see: not of another boot, and
// not of another pid namespace.
import type { ProcessIdentity } from "../locks/claim.js";
import { isWithinSight, ownIdentity, ownStat, readStat } from "../proc.js";

export interface ProcessSight {
  /** This process. */
  readonly self: ProcessIdentity;
  /** Whether that very process lives; `null` when this process cannot tell: another boot, or another pid namespace. */
  isAlive(identity: ProcessIdentity): boolean | null;
}

export function createProcessSight(): ProcessSight {
  return { self: ownIdentity(), isAlive };
}

function isAlive(identity: ProcessIdentity): boolean | null {
  if (!isWithinSight(identity)) return null;
  const stat = ownStat() === null ? null : readStat(identity.pid);
  if (stat !== null) return !stat.ended && (identity.startTicks === null || identity.startTicks === stat.startTicks);
  if (!pidExists(identity.pid)) return false;
  // Some process has this pid. That is proof where there are no start ticks to compare, but not where /proc hides them.
  return ownStat() === null && identity.startTicks === null ? true : null;
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
