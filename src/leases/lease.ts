// Locks taken by hand: acquire, renew, release, and who holds what. A lease is a durable claim like any other, made by the
// same line and the same rule; it only depends on no process, and its time may be over. Prints nothing and knows no
// configuration.
import { waitInLine } from "../line/waiting.js";
import type { Clock } from "../line/clock.js";
import type { Perspective } from "../line/perspective.js";
import type { Progress } from "../line/progress.js";
import type { Claim, LeaseType, ProcessIdentity } from "../locks/claim.js";
import type { Coordinator, JustSettled } from "../locks/coordinator.js";
import { ClaimLostError, HoldlineError, SessionLostError } from "../locks/errors.js";
import { readAllEntries, hasExpired, readHolders, readObstacles } from "../line/holders.js";
import { claimOf, draftOf, leasedRecordOf, refuseIfTooLarge } from "./draft.js";
import { refuseOthers, refuseUnlessLease } from "./ownership.js";
import type { Ending, Over } from "./ownership.js";
import { afterCatchingUp, findHeld, MOST_TRIES, recordOf, rewrite } from "./held.js";

/** What every lease that this process makes is made with. */
export interface LeaseContext {
  readonly coordinator: Coordinator;
  readonly node: string;
  readonly clock: Clock;
  readonly progress: Progress;
  /** This process: whose place in line it is. A lease in hand belongs to none. */
  readonly process: ProcessIdentity;
  /** The longest pause between looks where nothing wakes the waiter sooner, in milliseconds. */
  readonly sleepTimeMs: number;
  readonly perspective: Perspective;
  /** Ends every wait; the claim is withdrawn and the call rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

export interface LeaseRequest {
  /** A UUID of the caller's, by which it can be asked for again: see once.ts. By default a new one. */
  readonly id?: string;
  /** All are taken or none, in one transaction. The first is the one that was asked for. */
  readonly locks: readonly string[];
  readonly type: LeaseType;
  readonly key: string | null;
  readonly slots: number;
  readonly principal: string;
  readonly caller: string | null;
  readonly path: string | null;
  readonly reason: string | null;
  readonly data: unknown;
  /** How long it lasts, in milliseconds; `null`: until it is released. */
  readonly ttlMs: number | null;
  /** How long to wait in line, in milliseconds; 0: not at all, `null`: for ever. */
  readonly waitMs: number | null;
  /** Refuses to share: nobody else may have a claim on any of the locks, not even one that could be held together with this. */
  readonly alone: boolean;
}

/** A lease in hand. */
export interface HeldLease {
  readonly id: string;
  readonly locks: readonly string[];
  /** Grows with every change of holder of each lock. */
  readonly fencingToken: number;
  /** Milliseconds since 1970 by the coordinator's clock; `null`: until it is released. */
  readonly expiresAt: number | null;
}

/** What came of asking for a lease. `held`: others have the lock, and nothing is left in line. */
export type Acquired =
  | {
      readonly outcome: "acquired";
      readonly lease: HeldLease;
      /** The lease as it stands in the queue of its first lock. */
      readonly claim: Claim;
    }
  | {
      readonly outcome: "held";
      readonly lock: string;
      /** Who stands in the way: the holders of that lock. */
      readonly holders: readonly Claim[];
    };

/**
 * Takes a lease, on one lock or on several at once.
 * @throws HoldlineError `usage` when so many locks with so much data do not fit into one transaction
 * @throws HoldlineError `conflict` when somebody took the claim out of the line while it waited
 * @throws UnreachableError when the store cannot be reached
 */
export async function acquireLease(request: LeaseRequest, context: LeaseContext): Promise<Acquired> {
  const { clock } = context;
  const startedAt = clock.now();
  for (;;) {
    const leftMs = request.waitMs === null ? null : Math.max(0, request.waitMs - (clock.now() - startedAt));
    const attempt = await attemptLease({ ...request, waitMs: leftMs }, context);
    if (attempt.outcome === "taken-out") throw takenOut(attempt);
    if (attempt.outcome !== "undecided") return attempt;
  }
}

/** What came of standing in line once. */
export type Attempt =
  | Acquired
  /** Whoever was in the way has left, or the claim was lost before it was a lease: nothing is left in line, and it is to be tried again. */
  | { readonly outcome: "undecided" }
  /** Somebody took the claim out of the line while it waited. */
  | { readonly outcome: "taken-out"; readonly message: string };

export function takenOut({ message }: Extract<Attempt, { outcome: "taken-out" }>): HoldlineError {
  return new HoldlineError("conflict", message, { hint: "try again" });
}

/** Stands in line once for a lease; see {@link acquireLease}. */
export async function attemptLease(request: LeaseRequest, context: LeaseContext): Promise<Attempt> {
  const { coordinator, clock } = context;
  const draft = draftOf(request, context);
  refuseIfTooLarge(draft, coordinator.traits);
  const line = await waitInLine(coordinator, draft, {
    clock,
    progress: context.progress,
    acquire: { timeoutMs: request.waitMs, sleepTimeMs: context.sleepTimeMs },
    perspective: context.perspective,
    // Only one that was asked for before with the id that this request was given.
    onHolder: ({ id }) => (id === draft.id ? "leave" : "stay"),
    stop: context.signal,
  });
  if (line.outcome === "taken-out" || line.outcome === "left") return line.outcome === "left" ? UNDECIDED : line;
  const isGranted = line.outcome === "granted";
  // Whoever stands ahead of a claim that is granted shares the lock with it.
  const isAlone = !isGranted || line.joined.positions.every(({ ahead }) => ahead.length === 0);
  if (!isGranted || (request.alone && !isAlone)) {
    if (isGranted) await coordinator.withdraw(line.joined.positions);
    // Where nobody is in the way any more, they have left since, and others may have come in between.
    return (await findHolders(request, draft.id, context)) ?? UNDECIDED;
  }
  const { positions } = line.joined;
  if (!isAlone && request.id !== undefined && (await isTakenAlready(request, draft.id, context))) {
    await coordinator.withdraw(positions);
    return UNDECIDED;
  }
  let settled: JustSettled;
  let expiresAt: number | null = null;
  try {
    if (request.ttlMs !== null) expiresAt = endOf(request.ttlMs, (await coordinator.sync(context.signal)).ms);
    settled = await coordinator.settle(draft, line.joined, leasedRecordOf(draft, expiresAt));
  } catch (error) {
    if (error instanceof SessionLostError) return UNDECIDED;
    // The session may live on, and what was taken out of one of its queues still stands in the others: nobody is to wait
    // behind a lease that nobody has.
    await coordinator.withdraw(positions);
    if (error instanceof ClaimLostError) return UNDECIDED;
    throw error;
  }
  const claim = claimOf(draft, settled, expiresAt);
  return { outcome: "acquired", lease: heldLeaseOf(claim), claim };
}

const UNDECIDED = { outcome: "undecided" } as const;

/** Has another who was asked with the same id made a lease of it, beside which this claim could be held? */
async function isTakenAlready(
  { locks: [lock] }: LeaseRequest,
  id: string,
  { coordinator, signal }: LeaseContext,
): Promise<boolean> {
  const holders = await readHolders(coordinator, lock as string, signal);
  return holders.some((holder) => holder.id === id && holder.durable);
}

/** When a lease is over that begins `now`: whole milliseconds, as clocks have them, and never too few. */
function endOf(ttlMs: number, now: number): number {
  return now + Math.ceil(ttlMs);
}

/** Who stands in the way of a lease; `null` when nobody does. Its own claim does not count. */
export async function findHolders(
  { locks, key, slots, alone }: LeaseRequest,
  id: string,
  { coordinator, signal }: LeaseContext,
): Promise<Extract<Acquired, { outcome: "held" }> | null> {
  for (const lock of locks) {
    const holders = await readObstacles(coordinator, lock, { id, key, slots, alone }, signal);
    if (holders.length > 0) return { outcome: "held", lock, holders };
  }
  return null;
}

/** What came of renewing a lease. `expired`: it is not there any more, because its time was over or it was released. */
export type Renewed =
  | {
      readonly outcome: "renewed";
      readonly lease: HeldLease;
      /** The lease as it stands in the queue of the lock now. */
      readonly claim: Claim;
    }
  | { readonly outcome: "expired" };

/**
 * Gives a lease a new time, from now by the store's clock. One whose time is over is never brought back.
 * @param ttlMs `null`: until it is released
 * @throws HoldlineError `not-allowed` for the claim of a process, and without force for another principal's lease
 */
export async function renewLease(
  coordinator: Coordinator,
  lock: string,
  id: string,
  { ttlMs, ...asking }: Over & { readonly ttlMs: number | null },
): Promise<Renewed> {
  const claim = await rewrite(coordinator, lock, id, asking.signal, async (present) => {
    refuseUnlessLease(present);
    refuseOthers(present, asking);
    const time = await coordinator.sync(asking.signal);
    // Its time may have run out since it was found, by the very clock from which the new one is counted.
    return hasExpired(present, time) ? "again" : { ...recordOf(present), expiresAt: ttlMs === null ? null : endOf(ttlMs, time.ms) };
  });
  if (claim === "gone") return { outcome: "expired" };
  return { outcome: "renewed", lease: heldLeaseOf(claim), claim };
}

function heldLeaseOf({ id, lock, lease, fencingToken, expiresAt }: Claim): HeldLease {
  return { id, locks: lease?.locks ?? [lock], fencingToken: fencingToken ?? 0, expiresAt };
}

/**
 * Changes the data of a durable claim in place, in all its entries at once. Whoever knows the id speaks for its owner.
 * @param change gives the new data for the present; it may be called again, with what another has written meanwhile
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
export async function readData(
  coordinator: Coordinator,
  lock: string,
  id: string,
  signal?: AbortSignal,
): Promise<{ readonly data: unknown } | "gone"> {
  const claim = await findHeld(coordinator, lock, id, signal);
  return claim === null ? "gone" : { data: claim.data };
}

/** What came of ending a lease; `gone`: there was nothing to end. */
export type Released = "released" | "gone";

/**
 * Ends a lease, on all its locks in one transaction. One that is gone already is no error.
 * @throws HoldlineError `not-allowed` for the claim of a process, and without force for another principal's lease
 */
export async function releaseLease(
  coordinator: Coordinator,
  lock: string,
  id: string,
  { reason, ...asking }: Ending,
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
 * Ends a lease of which nothing is known but its id; see {@link releaseLease}.
 * @param byFor who asks, by the lock that the lease was asked for; by default the same for all locks
 */
export async function releaseById(
  coordinator: Coordinator,
  id: string,
  { byFor, ...ending }: Ending & { readonly byFor?: (lock: string) => string },
): Promise<Released> {
  const find = async (): Promise<Claim | undefined> => (await coordinator.find(id, ending.signal))[0];
  const entry = (await find()) ?? (await afterCatchingUp(coordinator, find, ending.signal));
  if (entry === undefined) return "gone";
  refuseUnlessLease(entry);
  const by = byFor?.(entry.lease?.locks[0] ?? entry.lock) ?? ending.by;
  return releaseLease(coordinator, entry.lock, id, { ...ending, by });
}

/** Is the claim `id` a holder of the lock, and its time not over? */
export async function isLeaseHeld(coordinator: Coordinator, lock: string, id: string, signal?: AbortSignal): Promise<boolean> {
  const claim = await findHeld(coordinator, lock, id, signal);
  // A lease that has not been settled waits, wherever it stands: it may be first here and still wait for another of its locks.
  return claim !== null && (claim.durable || claim.lease === null);
}
