// One attempt at a lease: stand in line, and settle when the turn has come. Whether to try again is acquiring.ts's.
import { readHolders, readObstacles } from "../line/holders.js";
import { waitInLine } from "../line/waiting.js";
import type { Claim } from "../locks/claim.js";
import type { Draft, Joined, JustSettled } from "../locks/coordinator.js";
import { ClaimLostError, DocumentChangedError, SessionLostError } from "../locks/errors.js";
import { type Bound, keepsPlace } from "../line/freezes.js";
import { expiryOf, heldLeaseOf, leaseDraftOf, leasedClaimOf, leasedRecordOf, refuseIfTooLarge } from "./draft.js";
import { type Frozen, frozenBy, holdPlace, readBindingOf } from "./frozen.js";
import type { HeldLease, LeaseContext, LeaseRequest } from "./request.js";

export interface AcquiredLease {
  readonly outcome: "acquired";
  readonly lease: HeldLease;
  /** The lease as it stands in the queue of its first lock. */
  readonly claim: Claim;
}

/** Others have the lock, and nothing is left in line. */
export interface HeldByOthers {
  readonly outcome: "held";
  readonly lock: string;
  /** The holders of that lock: they stand in the way. */
  readonly holders: readonly Claim[];
}

export type Attempt =
  | AcquiredLease
  | HeldByOthers
  | Frozen
  /** The obstacle left meanwhile, or the claim was lost before it settled. Nothing is left in line; another attempt will tell. */
  | { readonly outcome: "undecided" }
  /** Somebody took the claim out of the line while it waited. */
  | { readonly outcome: "taken-out"; readonly message: string };

export const UNDECIDED = { outcome: "undecided" } as const;

/**
 * Stands in line once for a lease.
 * @throws HoldlineError `usage` when so many locks with so much data do not fit into one transaction
 * @throws UnreachableError when the store cannot be reached
 */
export async function attemptLease(request: LeaseRequest, context: LeaseContext): Promise<Attempt> {
  const { coordinator, clock, progress, perspective, sleepTimeMs, signal } = context;
  const draft = leaseDraftOf(request, context);
  refuseIfTooLarge(draft, coordinator.traits);
  const startedAt = clock.now();
  const bound = await readBindingOf(request, context);
  if (bound !== null && bound.binding.length > 0 && (request.waitMs === 0 || !keepsPlace(bound.binding)))
    return frozenBy(request, bound);
  const line = await waitInLine(coordinator, draft, {
    ...{ clock, progress, perspective, stop: signal },
    acquire: { timeoutMs: request.waitMs, sleepTimeMs },
    // The holder has this very id: somebody asked for the same lease before.
    onHolder: ({ id }) => (id === draft.id ? "leave" : "stay"),
  });
  if (line.outcome === "taken-out") return line;
  if (line.outcome === "left") return UNDECIDED;
  // After a timeout, a lock without obstacles means that they have just left; others may have come in between.
  if (line.outcome === "timed-out") return (await findObstacles(request, draft.id, context)) ?? UNDECIDED;
  const { positions } = line.joined;
  // A granted claim shares the lock with everybody who stands ahead of it.
  const isAlone = positions.every(({ ahead }) => ahead.length === 0);
  if (request.alone && !isAlone) {
    await coordinator.withdraw(positions);
    return (await findObstacles(request, draft.id, context)) ?? UNDECIDED;
  }
  if (!isAlone && request.id !== undefined && (await isTakenAlready(request, draft.id, context))) {
    await coordinator.withdraw(positions);
    return UNDECIDED;
  }
  try {
    return await settleThawed(request, context, { draft, joined: line.joined, bound, startedAt });
  } catch (error) {
    if (error instanceof SessionLostError) return UNDECIDED;
    // The session may live on, and a claim that was taken out of one of its queues still stands in the others: nobody may
    // wait behind a lease that nobody has.
    await coordinator.withdraw(positions);
    if (error instanceof ClaimLostError) return UNDECIDED;
    throw error;
  }
}

/** A lease whose turn has come. */
interface Granted {
  readonly draft: Draft;
  readonly joined: Joined;
  /** The freezes as they were read last; `null` where they do not count. */
  readonly bound: Bound | null;
  /** When the attempt began, by the taker's clock. */
  readonly startedAt: number;
}

/** Settles when nothing is frozen, by what the store says as it settles. */
async function settleThawed(
  request: LeaseRequest,
  context: LeaseContext,
  { draft, joined, bound: read, startedAt }: Granted,
): Promise<AcquiredLease | Frozen> {
  const { coordinator, clock, signal } = context;
  let bound = read;
  for (;;) {
    if (bound !== null && bound.binding.length > 0) {
      const leftMs = request.waitMs === null ? null : Math.max(0, request.waitMs - (clock.now() - startedAt));
      bound = await holdPlace(request, context, joined, leftMs);
      if (bound.binding.length > 0) {
        await coordinator.withdraw(joined.positions);
        return frozenBy(request, bound);
      }
    }
    const expiresAt = request.ttlMs === null ? null : expiryOf(request.ttlMs, (await coordinator.sync(signal)).ms);
    let settled: JustSettled;
    try {
      settled = await coordinator.settle(
        draft,
        joined,
        leasedRecordOf(draft, expiresAt),
        undefined,
        bound === null ? [] : [bound.check],
      );
    } catch (error) {
      if (!(error instanceof DocumentChangedError)) throw error;
      bound = await readBindingOf(request, context);
      continue;
    }
    const claim = leasedClaimOf(draft, settled, expiresAt);
    return { outcome: "acquired", lease: heldLeaseOf(claim), claim };
  }
}

/** Whether another request with the same id has become a lease, beside which this claim could be held. */
async function isTakenAlready(
  { locks: [lock] }: LeaseRequest,
  id: string,
  { coordinator, signal }: LeaseContext,
): Promise<boolean> {
  const holders = await readHolders(coordinator, lock as string, signal);
  return holders.some((holder) => holder.id === id && holder.durable);
}

/** Who stands in the way of a lease; `null` when nobody does. The lease's own claim does not count. */
export async function findObstacles(
  { locks, key, slots, alone }: LeaseRequest,
  id: string,
  { coordinator, signal }: LeaseContext,
): Promise<HeldByOthers | null> {
  for (const lock of locks) {
    const holders = await readObstacles(coordinator, lock, { id, key, slots, alone }, signal);
    if (holders.length > 0) return { outcome: "held", lock, holders };
  }
  return null;
}
