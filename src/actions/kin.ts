// The processes of a command that shares this process's own group, as it does on a terminal: the terminal listens to one group, and
// whoever else is in it (a shell script, the rest of a pipeline) is not the command's. So its processes are known by their
// descent, and by the claim in their environment when their parents have ended.
import type { ProcessIdentity } from "../locks/claim.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { isCarrier } from "./carriers.js";
import { endGroup, endMembers, membersOfGroup, type Members } from "./group.js";
import type { Leader } from "./machine.js";
import { isWithinSight, listPids, readStat, type ProcessStat } from "../proc.js";

/**
 * What a leader has started and what carries the claim, as far as it is in the leader's group or in `group`: a daemon that has
 * left them is no member, as it is none of a group. Where the agent leads the group, as in a shell's job, so is what has been
 * left in it by its parents since the command began: nobody else in such a group comes later.
 * @param isAgents does, or did, the agent lead the group?
 */
export function kinOf(leader: ProcessIdentity, group: number, claim: string | null, isAgents: boolean): Members {
  // Each that was ever seen: when its parent ends it has another one, and it may have emptied its environment.
  const known = new Map<number, number | null>([[leader.pid, leader.startTicks]]);
  const isKnown = ({ pid, startTicks }: ProcessStat): boolean => known.has(pid) && (known.get(pid) ?? startTicks) === startTicks;
  const isNear = (stat: ProcessStat): boolean => stat.group === group || stat.group === leader.pid;

  const pids = (): number[] => {
    const stats = new Map<number, ProcessStat>();
    for (const pid of listPids()) {
      const stat = pid === process.pid ? null : readStat(pid);
      if (stat !== null) stats.set(pid, stat);
    }
    const descends = (stat: ProcessStat, depth = 0): boolean => {
      if (isKnown(stat)) return true;
      // A bound, because pids may be reused while this looks.
      const parent = depth < 64 ? stats.get(stat.parent) : undefined;
      return parent !== undefined && descends(parent, depth + 1);
    };
    const isLeft = (stat: ProcessStat): boolean =>
      isAgents &&
      stat.group === group &&
      stat.startTicks >= (leader.startTicks ?? Number.POSITIVE_INFINITY) &&
      stat.parent !== process.pid &&
      stats.get(stat.parent)?.group !== group;
    const members = [...stats.values()].filter(
      (stat) => !stat.ended && isNear(stat) && (descends(stat) || isLeft(stat) || (claim !== null && isCarrier(stat.pid, claim))),
    );
    for (const { pid, startTicks } of members) known.set(pid, startTicks);
    return members.map(({ pid }) => pid);
  };
  const isAlive = (stat: ProcessStat | null): boolean => stat !== null && !stat.ended && isKnown(stat);
  return {
    pids,
    lives: () => isAlive(readStat(leader.pid)) || pids().length > 0,
    signal: (signal) => signalAll(pids(), signal),
  };
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  const refusals = pids.flatMap((pid) => {
    try {
      process.kill(pid, signal);
      return [];
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ESRCH" ? [] : [error];
    }
  });
  if (refusals.length === 0 || refusals.length < pids.length) return;
  throw new HoldlineError("not-allowed", `${signal} could not be sent to process ${pids.join(", ")}: ${messageOf(refusals[0])}`, {
    hint: "they run as another user: run holdline as root, or end them by hand",
    cause: refusals[0],
  });
}

/** The pids of what a command has left whose agent is gone, as `endLeft` ends them. */
export function pidsLeft(leader: Leader): number[] {
  const members = leader.sharesGroup === true ? kinLeft(leader) : membersOfGroup(leader);
  return members?.lives() === true ? members.pids() : [];
}

/**
 * Ends what a command has left whose agent is gone: its group, or its leader's kin where it had shared the agent's group.
 * @throws HoldlineError `not-allowed` when it may not be ended by this process, or is this process's own
 */
export async function endLeft(leader: Leader, killAfterMs: number): Promise<void> {
  if (leader.sharesGroup !== true) return endGroup(leader, killAfterMs);
  const kin = kinLeft(leader);
  if (kin !== null) await endMembers(kin, killAfterMs);
}

/** `null` when the leader is not there any more. */
function kinLeft(leader: Leader): Members | null {
  const stat = isWithinSight(leader) ? readStat(leader.pid) : null;
  if (stat?.startTicks !== leader.startTicks) return null;
  // A group whose leader has gone with the agent was the agent's.
  return kinOf(leader, stat.group, null, readStat(stat.group) === null);
}
