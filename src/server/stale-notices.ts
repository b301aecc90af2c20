// Tells people of stale claims: nobody else notices while the claim's own node is down. Each claim is told of once.
import type { Notifier } from "../locks/notifier.js";
import { claimsOn } from "../views/lock.js";
import type { Mirror } from "./mirror.js";
import type { MirroredLock } from "./store-copy.js";

/** Tells of the claims that are stale now, and of those that become so, until the mirror is closed. */
export function tellOfStaleClaims(mirror: Pick<Mirror, "latest" | "subscribe">, notifier: Notifier): void {
  /** By lock: the ids of the stale claims that were told of. */
  const told = new Map<string, ReadonlySet<string>>();
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
  mirror.latest().forEach(look);
  mirror.subscribe(({ changed, gone }) => {
    changed.forEach(look);
    for (const lock of gone) told.delete(lock);
  });
}
