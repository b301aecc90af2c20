// An admin ends a claim by hand. Owns which claim is meant, whether it may be ended, and that it ends in all its queues. The
// outcome is a value: command line and server have words of their own for it.
import { readPresentQueue } from "../line/holders.js";
import type { Perspective } from "../line/perspective.js";
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import type { NotifiedEvent } from "../locks/notifier.js";
import { claimsOn, viewLock } from "../views/lock.js";
import type { ClaimView, LockView } from "../views/lock.js";

export interface ClearRequest {
  readonly lock: string;
  /** The claim's id; `null` where the lock has only one durable claim. */
  readonly claim: string | null;
  readonly reason: string;
  /** Ends also a waiting claim, and one whose owner or command is running. */
  readonly force: boolean;
  /** The principal, for the history. */
  readonly by: string;
}

/** What this node can find out about a claim's processes. */
export interface Inspection {
  readonly perspective: Perspective;
  /** The pids of the claim's command that this machine sees alive. */
  readonly commandPids: (claim: Claim) => Promise<readonly number[]>;
}

/** The lock as it was when the decision was made, and the store's time then. */
interface Looked {
  readonly seen: LockView;
  readonly now: number;
}

export type Cleared =
  /** The claim has ended in all its queues. */
  | ({ readonly outcome: "cleared"; readonly chosen: ClaimView; readonly entries: readonly Claim[] } & Looked)
  /** The claim was there, and ended by itself. */
  | { readonly outcome: "ended-by-itself" }
  /** The lock has no such claim; or, where none was named, no durable one. */
  | ({ readonly outcome: "nothing-there" } & Looked)
  /** None was named, and several are durable. */
  | ({ readonly outcome: "several"; readonly candidates: readonly ClaimView[] } & Looked)
  /** The owner is running, or the claim is ephemeral: only force ends it. */
  | ({ readonly outcome: "alive"; readonly chosen: ClaimView } & Looked)
  /** The owner is gone, but this machine sees the claim's command alive: only force ends it. */
  | ({ readonly outcome: "command-lives"; readonly chosen: ClaimView; readonly pids: readonly number[] } & Looked)
  /** Somebody wrote to the claim meanwhile; `chosen` is the claim as it is now. */
  | { readonly outcome: "changed"; readonly chosen: ClaimView; readonly now: number };

// A claim on several locks may leave one of its queues while it is being ended; a second look settles that.
const MOST_LOOKS = 3;

/** @throws HoldlineError `conflict` when the claim changes too often */
export async function clearClaim(
  coordinator: Coordinator,
  request: ClearRequest,
  { perspective, commandPids }: Inspection,
  signal: AbortSignal,
): Promise<Cleared> {
  const { lock, reason, by } = request;
  const readAgain = async (id: string): Promise<Cleared> => {
    const chosen = claimsOn(viewLock(lock, await coordinator.queue(lock, signal), perspective)).find((claim) => claim.id === id);
    if (chosen === undefined) return { outcome: "ended-by-itself" };
    return { outcome: "changed", chosen, now: (await coordinator.sync(signal)).ms };
  };
  for (let look = 1; look <= MOST_LOOKS; look += 1) {
    const seen = viewLock(lock, await readPresentQueue(coordinator, lock, signal), perspective);
    const looked: Looked = { seen, now: (await coordinator.sync(signal)).ms };
    const choice = choose(seen, request);
    if (choice.outcome === "nothing-there" && look > 1) return { outcome: "ended-by-itself" };
    if (choice.outcome !== "chosen") return { ...choice, ...looked };
    const { chosen } = choice;
    const pids = chosen.condition === "stale" && !request.force ? await commandPids(chosen) : [];
    if (pids.length > 0) return { outcome: "command-lives", chosen, pids, ...looked };
    const entries = await entriesEverywhere(coordinator, chosen, signal);
    if (!chosen.durable) {
      await coordinator.withdraw(entries);
      // It may have settled in that moment: then it belongs to its owner, and stays.
      const after = await readAgain(chosen.id);
      return after.outcome === "changed" && after.chosen.durable ? after : { outcome: "cleared", chosen, entries, ...looked };
    }
    const ended = await coordinator.leave(chosen.id, entries, { event: "cleared", by, reason }, signal);
    if (ended === "done") return { outcome: "cleared", chosen, entries, ...looked };
    if (ended === "changed") return readAgain(chosen.id);
  }
  throw new HoldlineError("conflict", `the claim on ${lock} changes too often to be cleared; nothing was cleared`, {
    hint: "try again",
  });
}

/** What people are told of a claim that was cleared: as much as the history records. Nothing where a waiting claim was withdrawn. */
export function eventsOf(
  { chosen }: Extract<Cleared, { outcome: "cleared" }>,
  { lock, by, reason }: ClearRequest,
): readonly NotifiedEvent[] {
  const { id, durable, owner, failure } = chosen;
  return durable ? [{ event: "cleared", lock, claim: id, owner, by, reason, failure }] : [];
}

type Choice =
  | { readonly outcome: "chosen"; readonly chosen: ClaimView }
  | { readonly outcome: "nothing-there" }
  | { readonly outcome: "several"; readonly candidates: readonly ClaimView[] }
  | { readonly outcome: "alive"; readonly chosen: ClaimView };

/** The claim that the request means. */
function choose(seen: LockView, { claim: id, force }: Pick<ClearRequest, "claim" | "force">): Choice {
  const candidates = claimsOn(seen).filter((claim) => (id === null ? claim.durable : claim.id === id));
  const [chosen, another] = candidates;
  if (chosen === undefined) return { outcome: "nothing-there" };
  if (another !== undefined) return { outcome: "several", candidates };
  const isAlive = !chosen.durable || chosen.condition === "running" || chosen.condition === "waiting";
  return isAlive && !force ? { outcome: "alive", chosen } : { outcome: "chosen", chosen };
}

/** The claim's entries in all queues in which it stands. */
async function entriesEverywhere(coordinator: Coordinator, claim: Claim, signal: AbortSignal): Promise<readonly Claim[]> {
  // The id of another program's contender is only its entry's name, which another entry may have in another queue.
  if (claim.id === claim.ref) return [claim];
  return [claim, ...(await coordinator.find(claim.id, signal)).filter(({ lock }) => lock !== claim.lock)];
}
