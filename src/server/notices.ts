// Tells people of what nobody else notices: a claim that has become stale, while its own node is down, and a freeze whose time is
// over. Each is told of once.
import type { Freeze } from "../locks/freezes.js";
import type { Notifier } from "../locks/notifier.js";
import { claimsOn } from "../views/lock.js";
import type { Mirror } from "./mirror.js";
import type { MirroredLock } from "./store-copy.js";

/** Tells of the claims that are stale now, and from then on of what the mirror sees, until the mirror is closed. */
export function tellOfChanges(mirror: Mirror, notifier: Notifier): void {
  /** By lock: the ids of the stale claims that were told of. */
  const told = new Map<string, ReadonlySet<string>>();
  let frozen: readonly Freeze[] = mirror.freezes().freezes;

  const look = (seen: MirroredLock): void => {
    const { lock } = seen;
    const before = told.get(lock);
    const stale = claimsOn(seen).filter(({ condition }) => condition === "stale");
    for (const { id, owner } of stale) {
      if (before?.has(id) !== true)
        notifier.tell({ event: "stale", lock, claim: id, owner, by: null, reason: null, failure: null });
    }
    // One that lives again may become stale again.
    if (stale.length === 0) told.delete(lock);
    else told.set(lock, new Set(stale.map(({ id }) => id)));
  };

  const lookAtFreezes = (): void => {
    const { freezes, isUnreadable } = mirror.freezes();
    // What cannot be read has not ended.
    if (isUnreadable) return;
    const inForce = new Set(freezes.map(({ id }) => id));
    for (const freeze of frozen) {
      const isOver = freeze.until !== null && freeze.until <= mirror.now();
      // Whoever thaws one before its time tells of that.
      if (isOver && !inForce.has(freeze.id)) notifier.tell({ event: "thawed", freeze, by: null });
    }
    frozen = freezes;
  };

  mirror.latest().forEach(look);
  mirror.subscribe(({ changed, gone, hasFreezes }) => {
    changed.forEach(look);
    for (const lock of gone) told.delete(lock);
    if (hasFreezes) lookAtFreezes();
  });
}
