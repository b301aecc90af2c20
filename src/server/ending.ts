// Ends leases that are known by what they are for and not by their ids: a requestor's counter, a machine's slot.
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { readAllEntries, readPresentQueue } from "../line/holders.js";

export interface EndingLeases {
  /** The principal, for the history. */
  readonly by: string;
  readonly reason: string | null;
  readonly signal?: AbortSignal;
}

// Each further look means that somebody else has written to what was to be ended; so many in a row, that something else is wrong.
const MOST_LOOKS = 20;

/**
 * Ends all leases that `choose` picks out of a lock's queue. It is called again where another has written to one meanwhile.
 * @returns the queue as it was looked at last, before those that were chosen from it have ended
 * @throws HoldlineError `conflict` when they change too often
 */
export async function endLeases(
  coordinator: Coordinator,
  lock: string,
  { by, reason, signal }: EndingLeases,
  choose: (queue: readonly Claim[]) => readonly Claim[],
): Promise<readonly Claim[]> {
  for (let look = 0; look < MOST_LOOKS; look += 1) {
    // A server of an ensemble may lag behind. Its clock is read with a write, and what is read after that has all that
    // was there before: what another of our servers has just taken or ended, too.
    await coordinator.sync(signal);
    const queue = await readPresentQueue(coordinator, lock, signal);
    const ends = choose(queue).map(async (claim) => {
      const entries = await readAllEntries(coordinator, claim, signal);
      return coordinator.leave(claim.id, entries, { event: "released", by, reason }, signal);
    });
    if ((await Promise.all(ends)).every((ended) => ended === "done")) return queue;
  }
  throw new HoldlineError("conflict", `what was to be ended on ${lock} changes too often`, { hint: "try again" });
}
