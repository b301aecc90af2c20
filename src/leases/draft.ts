// What a lease is in the queues: the draft with which it joins, and the record that it is settled with. Pure but for the
// id that a draft is given whose request has none.
import { randomUUID } from "node:crypto";
import { encodeRecord } from "../locks/claim.js";
import type { Claim, ClaimRecord } from "../locks/claim.js";
import type { Draft, JustSettled, Traits } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import type { LeaseContext, LeaseRequest } from "./lease.js";

/** A claim on its way to be a lease: while it waits it belongs to this process, with whose session it ends. */
export function draftOf(request: LeaseRequest, { node, process }: LeaseContext): Draft {
  const { locks, type, key, slots, principal, caller, path, reason, data } = request;
  const owner = { node, principal, action: null, process };
  return {
    id: request.id ?? randomUUID(),
    locks,
    key,
    slots,
    owner,
    reason,
    data,
    settles: true,
    lease: { type, caller, path, locks },
  };
}

/** The same once it is held: nobody's process, and over at `expiresAt`. */
export function leasedRecordOf({ key, slots, owner, reason, data, lease }: Draft, expiresAt: number | null): ClaimRecord {
  return { owner: { ...owner, process: null }, key, slots, made: null, lease, expiresAt, reason, data, failure: null };
}

/** The lease that a draft has become, as it stands in the queue of its first lock. */
export function claimOf(draft: Draft, { entries, fencingToken, since }: JustSettled, expiresAt: number | null): Claim {
  const [entry] = entries;
  if (entry === undefined) throw new HoldlineError("bug", "a lease on no lock");
  return { ...leasedRecordOf(draft, expiresAt), ...entry, id: draft.id, durable: true, alive: true, since, fencingToken };
}

/** @throws HoldlineError `usage` when its locks with its data do not fit into one transaction */
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
