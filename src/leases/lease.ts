// What people do with a lease in hand, by its id: renew it, change its data, release it, ask whether it is held. Taking one
// is acquiring.ts's.
import { hasExpired, readAllEntries } from "../line/holders.js";
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { expiryOf, heldLeaseOf } from "./draft.js";
import { afterCatchingUp, findHeld, MOST_TRIES, recordOf, rewrite } from "./held.js";
import { refuseOthers, refuseUnlessLease } from "./ownership.js";
import type { LeaseEnding, LeaseWriter } from "./ownership.js";
import type { HeldLease } from "./request.js";

/** `expired`: the lease is not there any more, because it expired or somebody released it. */
export type Renewed =
  | {
      readonly outcome: "renewed";
      readonly lease: HeldLease;
      /** The lease as it stands in the queue of the lock now. */
      readonly claim: Claim;
    }
  | { readonly outcome: "expired" };

/**
 * Gives a lease a new time, from now by the store's clock. An expired lease never comes back.
 * @param ttlMs `null`: until it is released
 * @throws HoldlineError `not-allowed` for the claim of a process, and without force for another principal's lease
 */
export async function renewLease(
  coordinator: Coordinator,
  lock: string,
  id: string,
  { ttlMs, ...asking }: LeaseWriter & { readonly ttlMs: number | null },
): Promise<Renewed> {
  const claim = await rewrite(coordinator, lock, id, asking.signal, async (present) => {
    refuseUnlessLease(present);
    refuseOthers(present, asking);
    const time = await coordinator.sync(asking.signal);
    // It may have expired since it was found, by the very clock from which the new time is counted.
    return hasExpired(present, time)
      ? "again"
      : { ...recordOf(present), expiresAt: ttlMs === null ? null : expiryOf(ttlMs, time.ms) };
  });
  if (claim === "gone") return { outcome: "expired" };
  return { outcome: "renewed", lease: heldLeaseOf(claim), claim };
}

/**
 * Changes the data of a durable claim in place, in all its entries at once. Anybody who knows the id speaks for its owner.
 * @param change makes the new data from the present; it is called again when somebody else has written meanwhile
 * @returns the new data, or `gone`
 * @throws HoldlineError `not-allowed` for an ephemeral claim, which is never written to
 */
export async function changeData(
  coordinator: Coordinator,
  lock: string,
  id: string,
  change: (data: unknown) => unknown,
  signal?: AbortSignal,
): Promise<{ readonly data: unknown } | "gone"> {
  const claim = await rewrite(coordinator, lock, id, signal, (present) =>
    Promise.resolve({ ...recordOf(present), data: change(present.data) }),
  );
  return claim === "gone" ? "gone" : { data: claim.data };
}

/**
 * The data of a claim that holds the lock, durable or not.
 * @returns the data, or `gone` when no such claim holds it
 */
export async function fetchData(
  coordinator: Coordinator,
  lock: string,
  id: string,
  signal?: AbortSignal,
): Promise<{ readonly data: unknown } | "gone"> {
  const claim = await findHeld(coordinator, lock, id, signal);
  return claim === null ? "gone" : { data: claim.data };
}

/** `gone`: there was nothing to end. */
export type Released = "released" | "gone";

/**
 * Ends a lease, on all its locks in one transaction. It is no error if the lease is gone already.
 * @throws HoldlineError `not-allowed` for the claim of a process, and without force for another principal's lease
 */
export async function releaseLease(
  coordinator: Coordinator,
  lock: string,
  id: string,
  { reason, ...asking }: LeaseEnding,
): Promise<Released> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const { by, signal } = asking;
    const claim = await findHeld(coordinator, lock, id, signal);
    if (claim === null) return "gone";
    refuseUnlessLease(claim);
    const isForced = refuseOthers(claim, asking) === "forced";
    const entries = await readAllEntries(coordinator, claim, signal);
    const said = reason ?? (isForced ? "by force" : null);
    const left = await coordinator.leave(id, entries, { event: "released", by, reason: said }, signal);
    if (left === "done") return "released";
  }
  throw new HoldlineError("conflict", `the lease ${id} on ${lock} changes too often to be ended`, { hint: "try again" });
}

/**
 * Ends a lease by nothing but its id; see {@link releaseLease}.
 * @param byFor the principal who asks, by the lease's first lock; by default the same for all locks
 */
export async function releaseById(
  coordinator: Coordinator,
  id: string,
  { byFor, ...ending }: LeaseEnding & { readonly byFor?: (lock: string) => string },
): Promise<Released> {
  const find = async (): Promise<Claim | undefined> => (await coordinator.find(id, ending.signal))[0];
  const entry = (await find()) ?? (await afterCatchingUp(coordinator, find, ending.signal));
  if (entry === undefined) return "gone";
  refuseUnlessLease(entry);
  const by = byFor?.(entry.lease?.locks[0] ?? entry.lock) ?? ending.by;
  return releaseLease(coordinator, entry.lock, id, { ...ending, by });
}

/** Whether the claim `id` holds the lock, and has not expired. */
export async function isLeaseHeld(coordinator: Coordinator, lock: string, id: string, signal?: AbortSignal): Promise<boolean> {
  const claim = await findHeld(coordinator, lock, id, signal);
  // A lease that has not settled still waits: it may be first here, and stand behind others on another of its locks.
  return claim !== null && (claim.durable || claim.lease === null);
}
