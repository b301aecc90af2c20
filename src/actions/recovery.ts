// What earlier runs of an action left behind on this node, and what is to be done about it before the action may start.
// Decides and adopts; running the action under an adopted claim is guard.ts's.
import { laterOf, type BootMoment, type Claim, type ClaimRecord, type Owner } from "../locks/claim.js";
import type { Ending } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { readHolders } from "../line/holders.js";
import type { Perspective } from "../line/perspective.js";
import type { GuardedAction } from "./action.js";
import type { Taken } from "./durable-claim.js";
import type { Journal, Leader, Processes, RunEntry } from "./machine.js";
import { hasRestarted } from "./processes.js";
import type { Run } from "./run-states.js";

/**
 * Is it a claim that an earlier run of this action on this node left behind: durable, and its run is over because its
 * process is gone or its failure is recorded? Nobody else's claim is ever taken for one's own, nor another machine's that has the same name.
 */
export function isLeftover(claim: Claim, action: string, perspective: Perspective): boolean {
  if (!claim.durable || claim.lease !== null || claim.owner.action !== action || !perspective.isMine(claim)) return false;
  return claim.failure !== null || perspective.isOwnerGone(claim);
}

/**
 * Looks for leftovers, in the order of the queue, and clears away what the journal still says of claims that are gone: their orphaned commands are
 * ended, since nothing guards them any more.
 * @throws HoldlineError `configuration` where another machine of this node's name holds the lock
 */
export async function findLeftovers(
  { action, context: { machine }, coordinator, perspective }: Run,
  signal: AbortSignal,
): Promise<readonly Claim[]> {
  const { processes, journal } = machine;
  const holders: Claim[] = [];
  // The journal knows where claims were made: the configuration may name another lock since.
  const locks = new Set([action.lock, ...journal.runs(action.name).map((entry) => entry.lock)]);
  for (const lock of locks) holders.push(...(await readHolders(coordinator, lock, signal)));
  for (const entry of journal.runs(action.name)) {
    if (processes.isAlive(entry.agent) === true || holders.some((claim) => claim.id === entry.claim)) continue;
    await endOrphan(entry, action, machine);
  }
  for (const claim of holders) perspective.refuseTwin(claim);
  return holders.filter((claim) => isLeftover(claim, action.name, perspective));
}

/** Ends what still runs of a run whose claim is gone, since nothing guards it any more, and forgets it. */
export async function endOrphan(
  { action: name, claim, group }: RunEntry,
  action: Pick<GuardedAction, "mode" | "process" | "killAfterMs">,
  { processes, journal }: { readonly processes: Processes; readonly journal: Journal },
): Promise<void> {
  if (group !== null) await processes.endGroup(group, action.killAfterMs);
  await processes.endCarriers(claim, serviceOf(action), action.killAfterMs);
  journal.removeRun(name, claim);
}

/**
 * Takes over a leftover in place, and ends the command that it may have left running: the group that the journal knows,
 * and, since that may be another user's journal, or damaged, or deleted, all that was started under the claim.
 * @param made the moment of the wish that it stands for from now on
 * @returns `null` when the claim is gone or was changed since it was read: someone else was faster
 * @throws HoldlineError `not-allowed` when its command may run where this process cannot see it: the claim stays as it is
 */
export async function adoptLeftover(
  { action, context, coordinator, owner }: Run,
  { key, slots, reason, ...claim }: Claim,
  made: BootMoment | null,
): Promise<Taken | null> {
  const { processes, journal } = context.machine;
  const entry = journal.runs(action.name).find((run) => run.claim === claim.id);
  // What has failed has ended: only then is it called so.
  if (claim.failure === null && !isFoundBy(entry?.group ?? null, processes)) {
    demandSight(claim.id, claim.lock, claim.made, claim.owner, processes);
  }
  const record: ClaimRecord = { owner, key, slots, made, reason, data: action.data, lease: null, expiresAt: null, failure: null };
  const settled = await coordinator.adopt(claim.id, [claim], record);
  if (settled === "gone" || settled === "changed") return null;
  // Only whoever has the claim may end what ran under it: another process of this node may have been faster.
  if (entry?.group != null && processes.isAlive(entry.agent) !== true) await processes.endGroup(entry.group, action.killAfterMs);
  await processes.endCarriers(claim.id, serviceOf(action), action.killAfterMs);
  return { id: claim.id, lock: claim.lock, settled, record };
}

/** Makes an adopted claim the leftover again that it was. */
export async function returnLeftover({ coordinator }: Run, leftover: Claim, { settled, record }: Taken): Promise<void> {
  const { owner, failure, made, data } = leftover;
  await coordinator.update(leftover.id, settled, { ...record, owner, failure, made, data });
}

/** Does the journal find whatever still runs? What has shared its agent's group is found by its leader, for as long as that lives. */
function isFoundBy(leader: Leader | null, processes: Processes): boolean {
  return leader !== null && (leader.sharesGroup !== true || processes.isAlive(leader) === true);
}

/** A service that the action has restarted was started under its claim, and is what all this is for. */
function serviceOf(action: Pick<GuardedAction, "mode" | "process">): GuardedAction["process"] {
  return action.mode === "serialize_process" ? action.process : null;
}

function demandSight(id: string, lock: string, made: Claim["made"], owner: Owner, processes: Processes): void {
  const unseen = owner.process === null ? null : processes.unseenCarriers(made);
  if (unseen === null) return;
  throw new HoldlineError(
    "not-allowed",
    `the claim ${id} on ${lock} was left by an agent that is gone, and its command may still run: this node's journal does not find it, and ${unseen}`,
    { hint: `run holdline as root or as the user who made the claim; or look for the command, and then: holdline clear ${lock}` },
  );
}

/**
 * Ends a leftover for which another one stands. It is adopted first: its command may still run, and until that has ended
 * nobody else may have its place.
 * @returns whether it has ended by this; otherwise somebody else was faster, and what the journal says of it is theirs
 */
export async function endLeftover(run: Run, claim: Claim, ending: Ending): Promise<boolean> {
  const adopted = await adoptLeftover(run, claim, claim.made);
  return adopted !== null && (await run.coordinator.leave(claim.id, adopted.settled.entries, ending)) === "done";
}

/**
 * When the newest of several wishes stood; `null` where there is none. Those of earlier boots come first: every process
 * that runs now has started after them.
 */
export function latestWish(moments: readonly (BootMoment | null)[], now: BootMoment): BootMoment | null {
  const known = moments.filter((moment) => moment !== null);
  const isOfNow = ({ bootId }: BootMoment): boolean => bootId === now.bootId;
  const [first, ...others] = [...known.filter((moment) => !isOfNow(moment)), ...known.filter(isOfNow)];
  return first === undefined ? null : others.reduce(laterOf, first);
}

/** Has the action's process been restarted since `moment`? Never, for an action that names no process. */
export async function restartedSince(action: GuardedAction, moment: Claim["made"], processes: Processes): Promise<boolean> {
  if (action.mode !== "serialize_process" || action.process === null || moment === null) return false;
  return hasRestarted(moment, await processes.matching(action.process));
}
