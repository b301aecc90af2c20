// The processes of a command that shares its agent's process group, as it does on a terminal. A terminal talks to one group,
// and that group holds more than the command: a shell script, the rest of a pipeline. So the command's processes are known by
// descent, and by the claim in their environment where their parents have ended.
import type { ProcessIdentity } from "../../locks/claim.js";
import { HoldlineError, messageOf } from "../../locks/errors.js";
import { isCarrier } from "./carriers.js";
import { endGroup, endMembers, membersOfGroup, type Members } from "./group.js";
import type { Leader } from "../machine.js";
import { isWithinSight, listPids, readStat, type ProcessStat } from "../../proc.js";

/**
 * What a leader has started and what carries the claim, as far as it is in the leader's group or in `group`. A daemon that has
 * left both is no member, as it would be none of a group. Where the agent leads the group, as in a shell's job, processes whose
 * parents have ended since the command began are members too: nothing else comes into such a group later.
 * @param isAgents whether the agent leads the group, or led it
 */
export function kinOf(leader: ProcessIdentity, group: number, claim: string | null, isAgents: boolean): Members {
  // Every process that was ever seen. Later its parent may have ended, and it may have emptied its environment.
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
      // A bound: the kernel may reuse pids while this looks.
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

/** The pids of what is left of a command whose agent is gone: those that `endLeft` ends. */
export function pidsLeft(leader: Leader): number[] {
  const members = leader.sharesGroup === true ? kinLeft(leader) : membersOfGroup(leader);
  return members?.lives() === true ? members.pids() : [];
}

/**
 * Ends what is left of a command whose agent is gone: its group, or its leader's kin where it shared the agent's group.
 * @throws HoldlineError `not-allowed` when this process may not end it, or belongs to the group itself
 */
export async function endLeft(leader: Leader, killAfterMs: number): Promise<void> {
  if (leader.sharesGroup !== true) return endGroup(leader, killAfterMs);
  const kin = kinLeft(leader);
  if (kin !== null) await endMembers(kin, killAfterMs);
}

/** `null` when the leader is gone. */
function kinLeft(leader: Leader): Members | null {
  const stat = isWithinSight(leader) ? readStat(leader.pid) : null;
  if (stat?.startTicks !== leader.startTicks) return null;
  // The agent led the group if the group's leader is gone with it.
  return kinOf(leader, stat.group, null, readStat(stat.group) === null);
}
