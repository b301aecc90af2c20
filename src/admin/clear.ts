// An admin ends a claim that nobody else will. Owns which claim is meant, whether it may be ended, and that it ends in all
// its queues; that the owner is told, and that nothing but what was looked at is ended, is the coordinator's doing. What came
// of it is a value: those who ask have different words for it.
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { stateOf } from "./claims.js";
import type { LockState, StandingClaim } from "./claims.js";
import { readPresentQueues } from "./queues.js";
import type { Stores } from "./stores.js";

export interface ClearRequest {
  readonly lock: string;
  /** The claim's id; `null` where there is only one that is durable. */
  readonly claim: string | null;
  readonly reason: string;
  /** Also one whose owner or command is running, or that waits. */
  readonly force: boolean;
  /** The principal, for the history. */
  readonly by: string;
}

/** What was looked at, and when by the store's clock. */
interface Looked {
  readonly state: LockState;
  readonly now: number;
}

export type Cleared =
  /** It is ended, in the queues of all its entries. */
  | ({ readonly outcome: "cleared"; readonly chosen: StandingClaim; readonly entries: readonly Claim[] } & Looked)
  /** It was there, and has ended by itself. */
  | { readonly outcome: "ended-by-itself" }
  /** No such claim is there; or, where none was named, none that is durable. */
  | ({ readonly outcome: "nothing-there" } & Looked)
  /** None was named, and there are several. */
  | ({ readonly outcome: "several"; readonly candidates: readonly StandingClaim[] } & Looked)
  /** Its owner is running, or it is ephemeral: it is only ended by force. */
  | ({ readonly outcome: "alive"; readonly chosen: StandingClaim } & Looked)
  /** Its owner is gone, but its command is seen to live on this machine: it is only ended by force. */
  | ({ readonly outcome: "command-lives"; readonly chosen: StandingClaim; readonly pids: readonly number[] } & Looked)
  /** It was written to while it was being ended, and is as it says now. */
  | { readonly outcome: "changed"; readonly chosen: StandingClaim; readonly now: number };

// A claim that is in several queues may leave one of them while it is being ended; a second look settles that.
const MOST_LOOKS = 3;

/** @throws HoldlineError `conflict` when the claim changes too often */
export async function clearClaim(stores: Stores, request: ClearRequest, signal: AbortSignal): Promise<Cleared> {
  const { lock, reason, by } = request;
  const coordinator = await stores.coordinator(lock);
  for (let look = 1; look <= MOST_LOOKS; look += 1) {
    const [queue = []] = await readPresentQueues(coordinator, [lock], signal);
    const looked: Looked = {
      now: (await coordinator.sync(signal)).ms,
      state: stateOf(lock, queue, stores.perspective),
    };
    const choice = choose(looked.state, request);
    if (choice.outcome === "nothing-there" && look > 1) return { outcome: "ended-by-itself" };
    if (choice.outcome !== "chosen") return { ...choice, ...looked };
    const { chosen } = choice;
    const pids = chosen.condition === "stale" && !request.force ? await stores.commandPids(chosen.claim) : [];
    if (pids.length > 0) return { outcome: "command-lives", chosen, pids, ...looked };
    const entries = await entriesOf(coordinator, chosen.claim, signal);
    if (!chosen.claim.durable) {
      await coordinator.withdraw(entries);
      // It may have been settled in that moment: then it is somebody's, and stays.
      const after = await readAgain(stores, coordinator, lock, chosen.claim.id, signal);
      return after.outcome === "changed" && after.chosen.claim.durable ? after : { outcome: "cleared", chosen, entries, ...looked };
    }
    const ended = await coordinator.leave(chosen.claim.id, entries, { event: "cleared", by, reason }, signal);
    if (ended === "done") return { outcome: "cleared", chosen, entries, ...looked };
    if (ended === "changed") return readAgain(stores, coordinator, lock, chosen.claim.id, signal);
  }
  throw new HoldlineError("conflict", `the claim on ${lock} changes too often to be cleared; nothing was cleared`, {
    hint: "try again",
  });
}

type Choice =
  | { readonly outcome: "chosen"; readonly chosen: StandingClaim }
  | { readonly outcome: "nothing-there" }
  | { readonly outcome: "several"; readonly candidates: readonly StandingClaim[] }
  | { readonly outcome: "alive"; readonly chosen: StandingClaim };

/** The claim that is meant. */
function choose({ claims }: LockState, { claim: id, force }: Pick<ClearRequest, "claim" | "force">): Choice {
  const candidates = claims.filter(({ claim }) => (id === null ? claim.durable : claim.id === id));
  const [chosen, another] = candidates;
  if (chosen === undefined) return { outcome: "nothing-there" };
  if (another !== undefined) return { outcome: "several", candidates };
  const isAlive = !chosen.claim.durable || chosen.condition === "running" || chosen.condition === "waiting";
  return isAlive && !force ? { outcome: "alive", chosen } : { outcome: "chosen", chosen };
}

/** Everything that is one with the claim: its entries in all the queues in which it stands. */
async function entriesOf(coordinator: Coordinator, claim: Claim, signal: AbortSignal): Promise<readonly Claim[]> {
  // A contender of another program's is known by its entry's name alone, which may be another's in another queue.
  if (claim.id === claim.ref) return [claim];
  return [claim, ...(await coordinator.find(claim.id, signal)).filter(({ lock }) => lock !== claim.lock)];
}

async function readAgain(
  stores: Stores,
  coordinator: Coordinator,
  lock: string,
  id: string,
  signal: AbortSignal,
): Promise<Cleared> {
  const { claims } = stateOf(lock, await coordinator.queue(lock, signal), stores.perspective);
  const chosen = claims.find(({ claim }) => claim.id === id);
  if (chosen === undefined) return { outcome: "ended-by-itself" };
  return { outcome: "changed", chosen, now: (await coordinator.sync(signal)).ms };
}
