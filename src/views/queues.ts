// Reading the queues of many locks at once from every store that the configuration names, several questions at a time: one
// by one, a fleet's locks would take long. Expired leases are ended on the way.
import { endExpired, hasExpired } from "../line/holders.js";
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { viewLock } from "./lock.js";
import type { LockView } from "./lock.js";
import { storesFor } from "./stores.js";
import type { Store, Stores } from "./stores.js";

/** A lock as it was at a moment of its store's clock. */
export interface SeenLock extends LockView {
  readonly now: number;
}

// As many questions as a store's connection carries well without being flooded.
const AT_ONCE = 32;

/** The locks that somebody claims, sorted, of all stores. @param only the one lock to read; `null` for all */
export async function readLocks(from: Stores, only: string | null, signal: AbortSignal): Promise<readonly SeenLock[]> {
  const stores = await storesFor(from, only);
  const seen = await Promise.all(stores.map((store) => readLocksOf(from, store, only === null ? null : [only], signal)));
  return seen.flat().sort((one, other) => (one.lock < other.lock ? -1 : Number(one.lock > other.lock)));
}

/**
 * The locks of one store that somebody claims, in the order of `names`.
 * @param names only these; all of them, sorted, with `null`
 */
export async function readLocksOf(
  { perspective }: Pick<Stores, "perspective">,
  { coordinator, isFor }: Store,
  names: readonly string[] | null,
  signal: AbortSignal,
): Promise<readonly SeenLock[]> {
  const locks = names ?? (await coordinator.list(signal)).filter(isFor);
  const queues = await readPresentQueues(coordinator, locks, signal);
  const time = await coordinator.sync(signal);
  // A lease may have expired since, or this caller may not be allowed to end it: it is not shown either way.
  const isPresent = (claim: Claim): boolean => !hasExpired(claim, time);
  return (
    locks
      .map((lock, index) => {
        const { holders, waiting } = viewLock(lock, queues[index] ?? [], perspective);
        return { lock, now: time.ms, holders: holders.filter(isPresent), waiting: waiting.filter(isPresent) };
      })
      // A queue may have emptied since the names were read.
      .filter(({ holders, waiting }) => holders.length + waiting.length > 0)
  );
}

/** The queues of `locks`, in their order, after their expired leases have been ended. */
async function readPresentQueues(
  coordinator: Coordinator,
  locks: readonly string[],
  signal: AbortSignal,
): Promise<(readonly Claim[])[]> {
  const queues = await readQueues(coordinator, locks, signal);
  for (;;) {
    const timed = locks.flatMap((_, index) => (queues[index]?.some(({ expiresAt }) => expiresAt !== null) ? [index] : []));
    const leases = timed.flatMap((index) => queues[index] ?? []);
    try {
      if ((await endExpired(coordinator, leases, signal)) === 0) return queues;
    } catch (error) {
      // Callers with read access alone can look all the same.
      if (error instanceof HoldlineError && error.code === "not-allowed") return queues;
      throw error;
    }
    const read = await readQueues(
      coordinator,
      timed.map((index) => locks[index] as string),
      signal,
    );
    for (const [at, index] of timed.entries()) queues[index] = read[at] ?? [];
  }
}

async function readQueues(coordinator: Coordinator, locks: readonly string[], signal: AbortSignal): Promise<(readonly Claim[])[]> {
  const queues: (readonly Claim[])[] = [];
  for (let start = 0; start < locks.length; start += AT_ONCE) {
    queues.push(...(await Promise.all(locks.slice(start, start + AT_ONCE).map((lock) => coordinator.queue(lock, signal)))));
  }
  return queues;
}
