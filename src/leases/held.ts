// A claim that holds a lock, found by its id and written to in place. What is written is lease.ts's matter.
import type { Claim, ClaimRecord } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { endExpired, readAllEntries, hasExpired, readHolders } from "../line/holders.js";

/**
 * The claim `id` if it holds the lock, and its time is not over: a lease whose time is over is ended on the way. The
 * answer was true at some moment during the call, also where the server that is asked lags behind the others.
 */
export async function findHeld(coordinator: Coordinator, lock: string, id: string, signal?: AbortSignal): Promise<Claim | null> {
  // The store's clock is read with a write, and what is read after that has all that was there before.
  const now = await coordinator.sync(signal);
  const claim = (await readHolders(coordinator, lock, signal)).find((holder) => holder.id === id);
  if (claim === undefined) return null;
  if (!hasExpired(claim, now)) return claim;
  try {
    await endExpired(coordinator, [claim], signal);
  } catch (error) {
    // Whoever may only read can ask all the same.
    if (error instanceof HoldlineError && error.code === "not-allowed") return null;
    throw error;
  }
  // One that was renewed meanwhile is looked at again.
  return findHeld(coordinator, lock, id, signal);
}

/**
 * Reads what is to be gone: a server of an ensemble may lag behind, and not know yet of what another has just been told.
 * The store's clock is read with a write, and what is read after that has all that was there before.
 */
export async function afterCatchingUp<T>(coordinator: Coordinator, read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  await coordinator.sync(signal);
  return read();
}

// Each try that fails means that somebody else has written in between. So many in a row mean that something else is wrong.
export const MOST_TRIES = 20;

/**
 * Writes to a durable claim in place, in all its entries at once.
 * @param write gives the new record for the claim as it is, `again` to look at it anew; it is called again when another has written meanwhile
 * @returns the claim as it stands then, or `gone`
 * @throws HoldlineError `not-allowed` for an ephemeral claim, which is never written to
 */
export async function rewrite(
  coordinator: Coordinator,
  lock: string,
  id: string,
  signal: AbortSignal | undefined,
  write: (claim: Claim) => Promise<ClaimRecord | "again">,
): Promise<Claim | "gone"> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const claim = await findHeld(coordinator, lock, id, signal);
    if (claim === null) return "gone";
    if (!claim.durable) {
      throw new HoldlineError("not-allowed", `the claim ${id} on ${lock} is ephemeral, and lives with its process`, {
        hint: "only a durable claim can be written to: a lease, or that of a guarded action",
      });
    }
    const entries = await readAllEntries(coordinator, claim, signal);
    const record = await write(claim);
    if (record === "again") continue;
    const { fencingToken } = claim;
    const settled = await coordinator.update(id, { entries, fencingToken: fencingToken ?? 0 }, record, signal);
    if (typeof settled !== "string") return { ...claim, ...record, revision: settled.entries[0]?.revision ?? claim.revision };
  }
  throw new HoldlineError("conflict", `the claim ${id} on ${lock} changes too often to be written to`, { hint: "try again" });
}

/** What the store keeps of a claim. */
export function recordOf({ owner, key, slots, made, lease, expiresAt, reason, data, failure }: Claim): ClaimRecord {
  return { owner, key, slots, made, lease, expiresAt, reason, data, failure };
}
