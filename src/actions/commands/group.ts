// The processes of a command, taken together: whether any lives, passing signals to all, ending all. Most commands have a
// process group of their own, named by its leader. kin.ts has those that share a terminal with their agent.
import type { ProcessIdentity } from "../../locks/claim.js";
import { HoldlineError, messageOf } from "../../locks/errors.js";
import { createClock } from "../../line/clock.js";
import { isWithinSight, listPids, ownStat, readStat } from "../../proc.js";

// The kernel tells nobody but a parent when a process ends, so this has to look. The pause begins short, because most programs
// end within milliseconds of SIGTERM, and grows, because a look reads all of /proc.
export const FIRST_PAUSE_MS = 5;
export const LONGEST_PAUSE_MS = 100;

const clock = createClock();

/** The processes of one command. */
export interface Members {
  /** The pids of those that have not ended. */
  pids(): number[];
  lives(): boolean;
  /**
   * Sends a signal to all of them; one that has ended is no error.
   * @throws HoldlineError `not-allowed` when this process may signal none of them
   */
  signal(signal: NodeJS.Signals): void;
}

/** The members of a process group. They may outlive its leader. */
export function membersOfGroup(leader: ProcessIdentity): Members {
  return {
    pids: () => membersOf(leader.pid),
    lives: () => groupLives(leader),
    signal: (signal) => signalGroup(leader, signal),
  };
}

/**
 * Ends them: SIGTERM, after `killAfterMs` SIGKILL. Resolves when none is left; zombies do not count.
 * @param hasten aborted: SIGKILL comes at once
 * @throws HoldlineError `not-allowed` when this process may not end them
 */
export async function endMembers(members: Members, killAfterMs: number, hasten?: AbortSignal): Promise<void> {
  if (!members.lives()) return;
  members.signal("SIGTERM");
  // A stopped process acts on SIGTERM only once it goes on.
  members.signal("SIGCONT");
  const killAt = clock.now() + killAfterMs;
  for (let pauseMs = FIRST_PAUSE_MS; members.lives(); pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const leftMs = hasten?.aborted === true ? 0 : killAt - clock.now();
    // Again in every round: a member may have been forked while the signal was on its way.
    if (leftMs <= 0) members.signal("SIGKILL");
    await clock.sleep(leftMs > 0 ? Math.min(pauseMs, leftMs) : pauseMs);
  }
}

/** Waits for them to end by themselves. @returns whether they have, within `patienceMs` */
export async function membersEnd(members: Members, patienceMs: number): Promise<boolean> {
  const until = clock.now() + patienceMs;
  for (let pauseMs = FIRST_PAUSE_MS; members.lives(); pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    if (clock.now() >= until) return false;
    await clock.sleep(pauseMs);
  }
  return true;
}

/**
 * Ends the process group that a leader has, or had. Does nothing when the leader's pid belongs to another process by now, or
 * to another boot or pid namespace.
 * @throws HoldlineError `not-allowed` when this process may not end it, or belongs to it itself
 */
export async function endGroup(leader: ProcessIdentity, killAfterMs: number): Promise<void> {
  if (!groupLives(leader)) return;
  if (ownStat()?.group === leader.pid) {
    throw new HoldlineError("not-allowed", `process group ${leader.pid} cannot be ended: this process belongs to it itself`);
  }
  await endMembers(membersOfGroup(leader), killAfterMs);
}

/**
 * Sends a signal to every member; a group that is gone is no error.
 * @throws HoldlineError `not-allowed` when this process may signal none of them
 */
function signalGroup(leader: ProcessIdentity, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader.pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH") return;
    throw new HoldlineError("not-allowed", `${signal} could not be sent to process group ${leader.pid}: ${messageOf(error)}`, {
      hint: "its processes run as another user: run holdline as root, or end them by hand",
      cause: error,
    });
  }
}

/** Whether any member of the leader's group lives: the leader, or one that has outlived it. */
function groupLives(leader: ProcessIdentity): boolean {
  // To kill(2), 0 means this process's own group, and -1 every process there is.
  if (leader.pid <= 1 || !isWithinSight(leader) || !groupExists(leader.pid)) return false;
  if (ownStat() === null) return true;
  const stat = readStat(leader.pid);
  // The kernel gives a pid to no process while a group of that number has members. So if another process has the leader's
  // pid, the leader's group is gone; and if no process has it, the group's members are what the leader left behind.
  if (stat !== null && leader.startTicks !== null && stat.startTicks !== leader.startTicks) return false;
  if (stat !== null && !stat.ended) return true;
  return membersOf(leader.pid).length > 0;
}

/** The pids of a group's processes that have not ended. */
function membersOf(group: number): number[] {
  return listPids().filter((pid) => {
    const member = readStat(pid);
    return member !== null && member.group === group && !member.ended;
  });
}

// Counts zombies. Where it says no, a look through /proc would find nothing.
function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
