// Reading the freezes in force from every store that the configuration names.
import { readFreezes } from "../line/freezes.js";
import { HoldlineError } from "../locks/errors.js";
import { type Freeze, isInForce } from "../locks/freezes.js";
import { matchesPattern } from "../locks/patterns.js";
import { storesFor, type Stores } from "./stores.js";

/** The freezes of all stores as they were seen. */
export interface SeenFreezes {
  /** In force, the oldest first. A freeze that stands in several stores is there once. */
  readonly freezes: readonly Freeze[];
  /** Why the freezes of a store cannot be told: everything counts as frozen there. `null` where all could be read. */
  readonly problem: string | null;
  /** The stores' time, in milliseconds since 1970; 0 where nothing is frozen. */
  readonly now: number;
}

/**
 * Reads the freezes in force. What a store says that is no list of freezes does not keep others from being shown.
 * @param only those that name this lock; all of them with `null`
 * @throws UnreachableError when a store does not answer
 */
export async function readAllFreezes(from: Stores, only: string | null, signal: AbortSignal): Promise<SeenFreezes> {
  const stores = await storesFor(from, only);
  const read = await Promise.all(
    stores.map(async ({ coordinator }) => {
      try {
        const { freezes } = await readFreezes(coordinator, signal);
        if (freezes.length === 0) return { freezes, now: 0, problem: null };
        const time = await coordinator.sync(signal);
        return { freezes: freezes.filter((freeze) => isInForce(freeze, time)), now: time.ms, problem: null };
      } catch (error) {
        if (!(error instanceof HoldlineError) || (error.code !== "configuration" && error.code !== "not-allowed")) throw error;
        return { freezes: [], now: 0, problem: error.message };
      }
    }),
  );
  const byId = new Map(read.flatMap(({ freezes }) => freezes.map((freeze) => [freeze.id, freeze] as const)));
  const wanted = [...byId.values()].filter(({ locks }) => only === null || locks.some((pattern) => matchesPattern(pattern, only)));
  return {
    freezes: wanted.sort((one, other) => one.since - other.since),
    problem: read.find(({ problem }) => problem !== null)?.problem ?? null,
    now: Math.max(...read.map(({ now }) => now)),
  };
}
