// What earlier runs of an action have left on this node: finds leftovers, adopts them, and ends what still runs of them. What a
// run makes of an adopted claim is claiming-states.ts's.
import { laterOf, type BootMoment, type Claim, type ClaimRecord, type Owner, type Stage } from "../locks/claim.js";
import type { Ending } from "../locks/history.js";
import { HoldlineError } from "../locks/errors.js";
import { readHolders } from "../line/holders.js";
import type { Perspective } from "../line/perspective.js";
import type { GuardedAction } from "./action.js";
import type { Taken } from "./durable-claim.js";
import type { Journal, Leader, Processes, RunEntry } from "./machine.js";
import { hasRestarted } from "./processes.js";
import { hasBooted, isAwaited } from "./reboot-states.js";
import type { Run } from "./run-states.js";

/**
 * Whether an earlier run of this action on this node left the claim behind: the claim is durable, and its run is over, because
 * its process is gone or because the claim carries a failure. A claim of any other node, action or machine is no leftover, nor is
 * one of another machine that has this node's name.
 */
export function isLeftover(claim: Claim, action: string, perspective: Perspective): boolean {
  if (!claim.durable || claim.lease !== null || claim.owner.action !== action || !perspective.isMine(claim)) return false;
  return claim.failure !== null || perspective.isOwnerGone(claim);
}

/**
 * Finds leftovers, in the order of the queue, and the claim under which this machine is about to reboot. Also clears out of the journal the runs whose claims are gone, and ends their
 * orphaned commands, since nothing guards these any more.
 * @throws HoldlineError `configuration` where another machine of this node's name holds the lock
 */
export async function findLeftovers(
  run: Run,
  signal: AbortSignal,
): Promise<{ readonly leftovers: readonly Claim[]; readonly awaited: Claim | undefined }> {
  const { action, context, coordinator, perspective } = run;
  const { machine } = context;
  const { processes, journal } = machine;
  const holders: Claim[] = [];
  // The journal knows the locks of earlier runs. The configuration may name another one since.
  const locks = new Set([action.lock, ...journal.runs(action.name).map((entry) => entry.lock)]);
  for (const lock of locks) holders.push(...(await readHolders(coordinator, lock, signal)));
  for (const entry of journal.runs(action.name)) {
    if (processes.isAlive(entry.agent) === true || holders.some((claim) => claim.id === entry.claim)) continue;
    await endOrphan(entry, action, machine);
  }
  for (const claim of holders) perspective.refuseTwin(claim);
  return {
    leftovers: holders.filter((claim) => isLeftover(claim, action.name, perspective)),
    awaited: holders.find((claim) => isAwaited(run, claim)),
  };
}

/** Ends the command of a run whose claim is gone, since nothing guards it any more, and forgets the run. */
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
 * Takes over a leftover in place, and ends the command that may still run under it: the group that the journal knows, and all
 * processes that carry the claim, since the journal may be another user's, or damaged, or deleted.
 * @param made the moment of the wish that the claim stands for from now on
 * @param stage how far its work has come; missing where nobody has noted anything
 * @returns `null` when the claim is gone or has changed since it was read: another process was faster
 * @throws HoldlineError `not-allowed` when its command may run where this process cannot see it; the claim stays as it is
 */
export async function adoptLeftover(
  { action, context, coordinator, owner }: Run,
  { key, slots, reason, ...claim }: Claim,
  made: BootMoment | null,
  stage?: Stage,
): Promise<Taken | null> {
  const { processes, journal } = context.machine;
  const entry = journal.runs(action.name).find((run) => run.claim === claim.id);
  // A command that has failed has also ended: its run records a failure only then.
  if (claim.failure === null && !isFoundBy(entry?.group ?? null, processes)) {
    demandSight(claim.id, claim.lock, claim.made, claim.owner, processes);
  }
  const { percent } = claim;
  const record: ClaimRecord = {
    ...{ owner, key, slots, made, reason, data: action.data, lease: null, expiresAt: null, failure: null },
    ...(stage === undefined ? {} : { stage }),
    ...(percent === undefined ? {} : { percent }),
  };
  const settled = await coordinator.adopt(claim.id, [claim], record);
  if (settled === "gone" || settled === "changed") return null;
  // After the adoption, because only the claim's owner may end what runs under it: another process may have been faster.
  if (entry?.group != null && processes.isAlive(entry.agent) !== true) await processes.endGroup(entry.group, action.killAfterMs);
  await processes.endCarriers(claim.id, serviceOf(action), action.killAfterMs);
  return { id: claim.id, lock: claim.lock, settled, record };
}

/** Makes an adopted claim the leftover again that it was. */
export async function returnLeftover({ coordinator }: Run, leftover: Claim, { settled }: Taken): Promise<void> {
  await coordinator.update(leftover.id, settled, leftover);
}

/** Whether the journal's group finds all that still runs. Where the command shared its agent's group, only a living leader does. */
function isFoundBy(leader: Leader | null, processes: Processes): boolean {
  return leader !== null && (leader.sharesGroup !== true || processes.isAlive(leader) === true);
}

/** The service that the action restarts carries the claim as well, and must live on. */
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
 * Ends a leftover that this run does not need. Adopts it first: its command may still run, and nobody else may have its place
 * until that has ended.
 * @returns whether this ended it; otherwise another process was faster, and the journal's entry is that one's
 */
export async function endLeftover(run: Run, claim: Claim, ending: Ending): Promise<boolean> {
  const adopted = await adoptLeftover(run, claim, claim.made);
  return adopted !== null && (await run.coordinator.leave(claim.id, adopted.settled.entries, ending)) === "done";
}

/**
 * The moment of the latest of several wishes; `null` where there is none. Wishes of earlier boots are older than those of this
 * one: every process that runs now has started after them.
 */
export function latestWish(moments: readonly (BootMoment | null)[], now: BootMoment): BootMoment | null {
  const known = moments.filter((moment) => moment !== null);
  const isOfNow = ({ bootId }: BootMoment): boolean => bootId === now.bootId;
  const [first, ...others] = [...known.filter((moment) => !isOfNow(moment)), ...known.filter(isOfNow)];
  return first === undefined ? null : others.reduce(laterOf, first);
}

/** Whether the action's process has restarted, or its machine rebooted, since `moment`. An action that names no process never counts as restarted. */
export async function restartedSince(action: GuardedAction, moment: Claim["made"], processes: Processes): Promise<boolean> {
  if (action.mode === "reboot") return hasBooted(moment, processes.moment());
  if (action.mode !== "serialize_process" || action.process === null || moment === null) return false;
  return hasRestarted(moment, await processes.matching(action.process));
}
