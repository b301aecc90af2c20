// The processes of a command as one: whether any lives, passing signals to them, and ending them all. Most commands have a
// process group of their own, named by its leader; those on a terminal are in kin.ts.
import type { ProcessIdentity } from "../locks/claim.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { createClock } from "../line/clock.js";
import { isWithinSight, listPids, ownStat, readStat } from "../proc.js";

// Others' children give no notice when they end, so one has to look. The pause begins short, because most programs end
// within milliseconds of SIGTERM, and grows, because a look reads all of /proc.
export const FIRST_PAUSE_MS = 5;
export const LONGEST_PAUSE_MS = 100;

const clock = createClock();

/** The processes of one command. */
export interface Members {
  /** The pids of those that have not ended. */
  pids(): number[];
  lives(): boolean;
  /**
   * Sends a signal to all of them. Those that are gone are none the worse for it.
   * @throws HoldlineError `not-allowed` when this process may signal none of them
   */
  signal(signal: NodeJS.Signals): void;
}

/** The members of a process group, which the leader may have left behind. */
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
 * @throws HoldlineError `not-allowed` when they may not be ended by this process
 */
export async function endMembers(members: Members, killAfterMs: number, hasten?: AbortSignal): Promise<void> {
  if (!members.lives()) return;
  members.signal("SIGTERM");
  // What is stopped acts on SIGTERM only once it goes on.
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
 * @throws HoldlineError `not-allowed` when it may not be ended by this process, or is this process's own
 */
export async function endGroup(leader: ProcessIdentity, killAfterMs: number): Promise<void> {
  if (!groupLives(leader)) return;
  if (ownStat()?.group === leader.pid) {
    throw new HoldlineError("not-allowed", `process group ${leader.pid} cannot be ended: this process belongs to it itself`);
  }
  await endMembers(membersOfGroup(leader), killAfterMs);
}

/**
 * Sends a signal to every member. A group that is gone is none the worse for it.
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

/** Does any member of the leader's group live, be it the leader or one that has outlived it? */
function groupLives(leader: ProcessIdentity): boolean {
  // 0 and 1 would mean this process's own group and every process there is.
  if (leader.pid <= 1 || !isWithinSight(leader) || !groupExists(leader.pid)) return false;
  if (ownStat() === null) return true;
  const stat = readStat(leader.pid);
  // The kernel gives a pid to nobody while a group of that number has members. So when another process has the leader's
  // pid, the leader's group is gone, and when none has, whoever is in the group is what the leader left behind.
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

// Zombies count here; but where it says no, there is nothing to look for.
function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
