// What `locks --watch` watches: the queues, which change as claims come and go, and as leases expire.
import { locksAsJson } from "../views/json.js";
import { claimsOn } from "../views/lock.js";
import { readLocks, type SeenLock } from "../views/queues.js";
import { storesFor } from "../views/stores.js";
import type { Context } from "./context.js";
import { renderListing } from "./listing.js";
import { watch } from "./watch.js";

/** Watches until it is stopped, and returns the exit code. @param only one lock, or all with `null` */
export async function watchLocks(context: Context, only: string | null): Promise<number> {
  return watch<readonly SeenLock[]>(context, {
    title: `${only ?? "all locks"}, as they change`,
    stores: await storesFor(context, only),
    read: (signal) => readLocks(context, only, signal),
    untilStale: untilExpiry,
    timeOf: (seen) => Math.max(0, ...seen.map(({ now }) => now)) || null,
    asJson: locksAsJson,
    render(seen, elapsedMs, view) {
      const current = seen.map((lock) => ({ ...lock, now: lock.now + elapsedMs }));
      return renderListing(current, only, view);
    },
  });
}

// A lease expires just after its last moment.
const AFTER_EXPIRY_MS = 20;

/** The time until the first lease expires, in milliseconds. @param elapsedMs the time since the queues were read */
function untilExpiry(seen: readonly SeenLock[], elapsedMs: number): number {
  let leftMs = Number.POSITIVE_INFINITY;
  for (const view of seen)
    for (const { expiresAt } of claimsOn(view))
      leftMs = Math.min(leftMs, (expiresAt ?? Number.POSITIVE_INFINITY) - view.now - elapsedMs);
  return Math.max(0, leftMs) + AFTER_EXPIRY_MS;
}
