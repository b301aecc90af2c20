// What a lease is in the queues: the draft that joins, the record that it settles with, and the claim that comes of it.
// Pure, but for the new id of a draft whose request has none.
import { randomUUID } from "node:crypto";
import { encodeRecord } from "../locks/claim.js";
import type { Claim, ClaimRecord } from "../locks/claim.js";
import type { Draft, JustSettled, Traits } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import type { HeldLease, LeaseRequest, LeaseTaker } from "./request.js";

/** A lease that is about to wait. Until it settles it belongs to this process, and ends with its session. */
export function leaseDraftOf(request: LeaseRequest, { node, process }: LeaseTaker): Draft {
  const { locks, type, key, slots, principal, caller, path, reason, data } = request;
  return {
    id: request.id ?? randomUUID(),
    locks,
    key,
    slots,
    owner: { node, principal, action: null, process },
    reason,
    data,
    settles: true,
    lease: { type, caller, path, locks },
  };
}

/** The record of a lease in hand: it belongs to no process, and expires at `expiresAt`. */
export function leasedRecordOf({ key, slots, owner, reason, data, lease }: Draft, expiresAt: number | null): ClaimRecord {
  return { owner: { ...owner, process: null }, key, slots, made: null, lease, expiresAt, reason, data, failure: null };
}

/** A lease in hand as it stands in the queue of its first lock. */
export function leasedClaimOf(draft: Draft, { entries, fencingToken, since }: JustSettled, expiresAt: number | null): Claim {
  const [entry] = entries;
  if (entry === undefined) throw new HoldlineError("bug", "a lease on no lock");
  return { ...leasedRecordOf(draft, expiresAt), ...entry, id: draft.id, durable: true, alive: true, since, fencingToken };
}

export function heldLeaseOf({ id, lock, lease, fencingToken, expiresAt }: Claim): HeldLease {
  return { id, locks: lease?.locks ?? [lock], fencingToken: fencingToken ?? 0, expiresAt };
}

/** When a lease expires that begins `now`. Clocks have whole milliseconds, and the lease must not get fewer than it was promised. */
export function expiryOf(ttlMs: number, now: number): number {
  return now + Math.ceil(ttlMs);
}

/** @throws HoldlineError `usage` when the locks with their records do not fit into one transaction */
export function refuseIfTooLarge(draft: Draft, { maxLocks, maxBytes, bytesPerLock }: Traits): void {
  const { locks } = draft;
  if (locks.length > maxLocks) {
    throw new HoldlineError("usage", `${locks.length} locks do not fit into one transaction, which takes ${maxLocks}`, {
      hint: "lock fewer hosts at once",
    });
  }
  const recordBytes = Buffer.byteLength(encodeRecord(leasedRecordOf(draft, null)));
  const bytes = locks.reduce((sum, lock) => sum + recordBytes + bytesPerLock + 3 * Buffer.byteLength(encodeURI(lock)), 0);
  if (bytes <= maxBytes) return;
  throw new HoldlineError(
    "usage",
    `${locks.length} locks with ${recordBytes} bytes of record each do not fit into one transaction, which takes ${maxBytes} bytes`,
    { hint: "give the claim less data, or lock fewer hosts at once" },
  );
}
