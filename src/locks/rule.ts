// The one rule: which claims of a queue are held, and which claims stand in the way of one that is not.
// Pure functions over the order of the queue; they know nothing of stores, sessions or time.

/** A claim as the rule sees it. A queue is an array of these, first come first. */
export interface Contender {
  /** Claims with the same share key may be held together. `null` counts as a key of its own. */
  readonly key: string | null;
  /** How many claims may be held at once as far as this claim is concerned; `Infinity` for no limit. */
  readonly slots: number;
}

/** The slots of a claim that names none: one without a key, no limit with one. */
export function defaultSlots(key: string | null): number {
  return key === null ? 1 : Number.POSITIVE_INFINITY;
}

/**
 * Whether the claim at `position` (counted from 0) is held.
 *
 * A claim is held when every claim before it has the same key as it, and its position is less than the smallest
 * `slots` among itself and the claims before it. This one rule is a mutex (slots 1), a counting semaphore (slots N),
 * a read/write lock (readers share a key) and group exclusion. It is monotonic: claims join only at the end and leave
 * from anywhere, so what is ahead of a claim only shrinks and a held claim stays held.
 */
export function isHeld(queue: readonly Contender[], position: number): boolean {
  const claim = queue[position];
  if (claim === undefined) return false;
  let slots = claim.slots;
  for (let ahead = 0; ahead < position; ahead += 1) {
    const other = queue[ahead] as Contender;
    if (other.key !== claim.key) return false;
    if (other.slots < slots) slots = other.slots;
  }
  return position < slots;
}

/**
 * The positions of a smallest set of claims ahead of `position`. At least one of them must leave before the claim can be
 * held; the set is empty when it is held. A waiter that watches only these misses nothing: while all of them stay, so does
 * the reason that it waits. Among equals the nearest are chosen, because they leave last and so wake the waiter least.
 */
export function blockers(queue: readonly Contender[], position: number): number[] {
  const claim = queue[position];
  if (claim === undefined || isHeld(queue, position)) return [];

  // One claim is enough if it has another key, or allows only itself.
  for (let ahead = position - 1; ahead >= 0; ahead -= 1) {
    const other = queue[ahead] as Contender;
    if (other.key !== claim.key || other.slots <= 1) return [ahead];
  }
  if (claim.slots <= position) return nearest(position, claim.slots);

  // A claim ahead allows fewer than there are. It stands in the way, together with as many others as fill its slots.
  let strictest = position - 1;
  for (let ahead = position - 2; ahead >= 0; ahead -= 1) {
    if ((queue[ahead] as Contender).slots < (queue[strictest] as Contender).slots) strictest = ahead;
  }
  const others = nearest(position, (queue[strictest] as Contender).slots).filter((ahead) => ahead !== strictest);
  return [...others.slice(0, (queue[strictest] as Contender).slots - 1), strictest];
}

function nearest(position: number, count: number): number[] {
  return Array.from({ length: Math.min(count, position) }, (_, index) => position - 1 - index);
}
