// Who holds a lock now: reads the claims at the front of its queue, and ends the leases among them whose time is over.
import type { Claim } from "../locks/claim.js";
import type { Coordinator, EntryRef, StoreTime } from "../locks/coordinator.js";
import type { Ending } from "../locks/history.js";
import { HoldlineError } from "../locks/errors.js";
import { isDeclaredAction } from "../locks/exec-actions.js";
import { type Contender, isHeld } from "../locks/rule.js";

// Holders stand at the front of a queue. This many claims are read at first, then twice as many, until one of them waits.
const FIRST_PIECE = 2;

/** The held claims of a lock, in queue order. */
export async function readHolders(coordinator: Coordinator, lock: string, signal?: AbortSignal): Promise<readonly Claim[]> {
  for (let piece = FIRST_PIECE; ; piece *= 2) {
    const claims = await coordinator.queue(lock, signal, piece);
    const holders = claims.filter((_, position) => isHeld(claims, position));
    if (holders.length < piece) return holders;
  }
}

/** The held claims of a lock without expired leases, which this ends on the way. */
export async function readPresentHolders(coordinator: Coordinator, lock: string, signal?: AbortSignal): Promise<readonly Claim[]> {
  for (;;) {
    const present = await presentAmong(coordinator, await readHolders(coordinator, lock, signal), signal);
    if (present !== "again") return present;
  }
}

/** A lock's whole queue without expired leases, which this ends on the way. */
export async function readPresentQueue(coordinator: Coordinator, lock: string, signal?: AbortSignal): Promise<readonly Claim[]> {
  for (;;) {
    const present = await presentAmong(coordinator, await coordinator.queue(lock, signal), signal);
    if (present !== "again") return present;
  }
}

/** The claims that have not expired; `again` where some have been ended, so that `claims` is out of date. */
async function presentAmong(
  coordinator: Coordinator,
  claims: readonly Claim[],
  signal: AbortSignal | undefined,
): Promise<readonly Claim[] | "again"> {
  try {
    return (await endExpired(coordinator, claims, signal)) === 0 ? claims : "again";
  } catch (error) {
    // A caller who may only read can look all the same. Expired leases do not count, and stay.
    if (!isForbidden(error)) throw error;
    const seenAt = await coordinator.sync(signal);
    return claims.filter((claim) => !hasExpired(claim, seenAt));
  }
}

/** A claim that is about to join. */
export interface Newcomer extends Contender {
  readonly id: string;
  /** Whether it refuses to share: no other claim may be there, not even one that could be held together with it. */
  readonly alone: boolean;
}

/** The claims that keep a newcomer from being held at once: the lock's holders, or none. The newcomer's own does not count. */
export async function readObstacles(
  coordinator: Coordinator,
  lock: string,
  newcomer: Newcomer,
  signal?: AbortSignal,
): Promise<readonly Claim[]> {
  // An expired lease that this caller may not end is in the way of every newcomer.
  let all = await coordinator.queue(lock, signal);
  while ((await endExpired(coordinator, all, signal)) > 0) all = await coordinator.queue(lock, signal);
  const queue = all.filter(({ id }) => id !== newcomer.id);
  const isFree = newcomer.alone ? queue.length === 0 : isHeld([...queue, newcomer], queue.length);
  return isFree ? [] : queue.filter((_, position) => isHeld(queue, position));
}

/**
 * Whether the claim at `position` is in its owner's hand. A lease that has not settled waits wherever it stands: it may be first
 * here and still wait for another of its locks. So does the claim of a declared action, which may be first and wait for a thaw.
 */
export function isInHand(queue: readonly Claim[], position: number): boolean {
  const claim = queue[position];
  return claim !== undefined && isHeld(queue, position) && (claim.durable || !settles(claim));
}

/** Whether nothing begins under an ephemeral claim before it has settled. */
function settles({ lease, owner }: Claim): boolean {
  return lease !== null || isDeclaredAction(owner.action);
}

/**
 * Ends the leases among `claims` whose time is over by the store's clock. Every process that meets one does this. A lease that
 * was renewed meanwhile stays, because it is no longer as it was read. The history says that nobody ended it, and that it ended
 * when its time was over.
 * @returns how many have ended or changed, so that what was read of the queue is out of date
 */
export async function endExpired(coordinator: Coordinator, claims: readonly Claim[], signal?: AbortSignal): Promise<number> {
  const leases = claims.filter(({ durable, expiresAt }) => durable && expiresAt !== null);
  if (leases.length === 0) return 0;
  const now = await coordinator.sync(signal);
  const over = leases.filter((claim) => hasExpired(claim, now));
  const seen = new Set<string>();
  for (const claim of over) {
    if (seen.has(claim.id)) continue;
    seen.add(claim.id);
    const entries = await readAllEntries(coordinator, claim, signal);
    await coordinator.leave(claim.id, entries, expiredAt(claim.expiresAt as number), signal);
  }
  return seen.size;
}

// As many questions at once as do not flood a store's connection.
const AT_ONCE = 32;

/**
 * Ends the leases on `locks` whose time is over, on all locks with `null`, so that the history tells of them. Reads the holders
 * of the locks and not the waiters. A lease that this caller may not end, or not see, stays: the history can be read all the same.
 */
export async function endAllExpired(
  coordinator: Coordinator,
  locks: readonly string[] | null,
  signal?: AbortSignal,
): Promise<void> {
  const leases = new Map<string, Claim>();
  const note = async (lock: string): Promise<void> => {
    const holders = (await unlessForbidden(readHolders(coordinator, lock, signal))) ?? [];
    for (const claim of holders) if (claim.durable && claim.expiresAt !== null) leases.set(claim.id, claim);
  };
  const names = locks ?? (await unlessForbidden(coordinator.list(signal))) ?? [];
  for (let start = 0; start < names.length; start += AT_ONCE) await Promise.all(names.slice(start, start + AT_ONCE).map(note));
  const now = leases.size === 0 ? null : await unlessForbidden(coordinator.sync(signal));
  if (now === null) return;
  // One by one, so that a lease that this caller may not end does not keep others from ending.
  for (const claim of leases.values()) if (hasExpired(claim, now)) await unlessForbidden(endExpired(coordinator, [claim], signal));
}

async function unlessForbidden<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (isForbidden(error)) return null;
    throw error;
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof HoldlineError && error.code === "not-allowed";
}

function expiredAt(endedAt: number): Ending {
  return { event: "expired", by: null, reason: null, endedAt };
}

/** Whether the time of a lease is over, by the earliest time that it may be at the store. */
export function hasExpired({ expiresAt }: Pick<Claim, "expiresAt">, { ms, errorMs }: StoreTime): boolean {
  return expiresAt !== null && expiresAt <= ms - errorMs;
}

/** All entries of a claim, given one of them: a claim on several locks ends, and is written to, as one. */
export async function readAllEntries(coordinator: Coordinator, claim: Claim, signal?: AbortSignal): Promise<readonly EntryRef[]> {
  const others = (claim.lease?.locks ?? []).filter((lock) => lock !== claim.lock);
  const queues = await Promise.all(others.map((lock) => readHolders(coordinator, lock, signal)));
  return [claim, ...queues.flat().filter(({ id }) => id === claim.id)];
}
