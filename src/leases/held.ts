// A claim that holds a lock: finding it by its id, and writing to it in place. What to write is lease.ts's.
import type { Claim, ClaimRecord } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { endExpired, readAllEntries, hasExpired, readHolders } from "../line/holders.js";

/**
 * The claim `id` if it holds the lock. An expired lease does not, and is ended on the way. The answer was true at some
 * moment during the call, even if the server that answers lags behind the others of its ensemble.
 */
export async function findHeld(coordinator: Coordinator, lock: string, id: string, signal?: AbortSignal): Promise<Claim | null> {
  // What is read after a sync has everything that was committed before it.
  const now = await coordinator.sync(signal);
  const claim = (await readHolders(coordinator, lock, signal)).find((holder) => holder.id === id);
  if (claim === undefined) return null;
  if (!hasExpired(claim, now)) return claim;
  try {
    await endExpired(coordinator, [claim], signal);
  } catch (error) {
    // Callers with read access alone can ask all the same.
    if (error instanceof HoldlineError && error.code === "not-allowed") return null;
    throw error;
  }
  // Somebody may have renewed it meanwhile.
  return findHeld(coordinator, lock, id, signal);
}

/**
 * Reads once more before something counts as gone: the server of an ensemble that answered may not know yet what another
 * has just committed. What is read after a sync has everything that was committed before it.
 */
export async function afterCatchingUp<T>(coordinator: Coordinator, read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  await coordinator.sync(signal);
  return read();
}

// A try fails when somebody else has written in between. So many failures in a row mean that something else is wrong.
export const MOST_TRIES = 20;

/**
 * Writes to a durable claim in place, in all its entries at once.
 * @param write makes the new record from the claim as it is, or says `again` to read the claim anew; it is called again when
 * somebody else has written meanwhile
 * @returns the claim as it stands afterwards, or `gone`
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
