// Ending leases that a client knows by their purpose and not by their ids: a requestor's counter, a machine's slot.
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

// A look fails when somebody else has written to a lease meanwhile. So many failures in a row mean that something else is wrong.
const MOST_LOOKS = 20;

/**
 * Ends all leases that `choose` picks from a lock's queue. It picks again when somebody else has written to one meanwhile.
 * @returns the queue from which it picked last
 * @throws HoldlineError `conflict` when they change too often
 */
export async function endLeases(
  coordinator: Coordinator,
  lock: string,
  { by, reason, signal }: EndingLeases,
  choose: (queue: readonly Claim[]) => readonly Claim[],
): Promise<readonly Claim[]> {
  for (let look = 0; look < MOST_LOOKS; look += 1) {
    // What is read after a sync has everything that was committed before it: also what another of our servers has just taken
    // or ended, by way of another server of the ensemble.
    await coordinator.sync(signal);
    const queue = await readPresentQueue(coordinator, lock, signal);
    const ends = choose(queue).map(async (claim) => {
      const entries = await readAllEntries(coordinator, claim, signal);
      return coordinator.leave(claim.id, entries, { event: "released", by, reason }, signal);
    });
    if ((await Promise.all(ends)).every((ended) => ended === "done")) return queue;
  }
  throw new HoldlineError("conflict", `the leases to be ended on ${lock} change too often`, { hint: "try again" });
}
