// What `locks --watch` watches: the queues, which change as claims come and go, and as leases expire; and the freezes.
import { readAllFreezes, type SeenFreezes } from "../views/freezes.js";
import { locksAsJson } from "../views/json.js";
import { claimsOn } from "../views/lock.js";
import { readLocks, type SeenLock } from "../views/queues.js";
import { storesFor } from "../views/stores.js";
import type { Context } from "./context.js";
import { renderFreezes } from "./freezes.js";
import { renderListing } from "./listing.js";
import { watch } from "./watch.js";

interface Seen {
  readonly locks: readonly SeenLock[];
  readonly freezes: SeenFreezes;
}

/** Watches until it is stopped, and returns the exit code. @param only one lock, or all with `null` */
export async function watchLocks(context: Context, only: string | null): Promise<number> {
  return watch<Seen>(context, {
    title: `${only ?? "all locks"}, as they change`,
    stores: await storesFor(context, only),
    read: async (signal) => {
      const [locks, freezes] = await Promise.all([readLocks(context, only, signal), readAllFreezes(context, only, signal)]);
      return { locks, freezes };
    },
    untilStale: untilExpiry,
    timeOf: ({ locks, freezes }) => Math.max(freezes.now, ...locks.map(({ now }) => now)) || null,
    asJson: ({ locks, freezes }) => locksAsJson(locks, freezes),
    render({ locks, freezes }, elapsedMs, view) {
      const current = locks.map((lock) => ({ ...lock, now: lock.now + elapsedMs }));
      return [...renderFreezes({ ...freezes, now: freezes.now + elapsedMs }, view), ...renderListing(current, only, view)];
    },
  });
}

// A lease expires just after its last moment.
const AFTER_EXPIRY_MS = 20;

/** The time until the first lease expires or the first freeze ends, in milliseconds. @param elapsedMs the time since they were read */
function untilExpiry({ locks, freezes }: Seen, elapsedMs: number): number {
  const leases = locks.flatMap((view) => claimsOn(view).map(({ expiresAt }) => ({ end: expiresAt, now: view.now })));
  const ends = [...leases, ...freezes.freezes.map(({ until }) => ({ end: until, now: freezes.now }))];
  const leftMs = ends.map(({ end, now }) => (end === null ? Number.POSITIVE_INFINITY : end - now - elapsedMs));
  // Not by spreading: a fleet may have more leases than a call takes arguments.
  return (
    Math.max(
      0,
      leftMs.reduce((least, left) => Math.min(least, left), Number.POSITIVE_INFINITY),
    ) + AFTER_EXPIRY_MS
  );
}
