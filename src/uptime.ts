// The time since boot, the machine's sleep included. It measures deadlines that others keep too: the monotonic clock
// (`performance.now()`) of a suspended or paused machine stands still, while a store's clock goes on.
import { openSync, readSync } from "node:fs";
import { performance } from "node:perf_hooks";

/** The clocks that make up the uptime, in milliseconds. */
export interface UptimeSources {
  /** The kernel's figure, sleep included; `null` on systems without one. */
  readonly kernelMs: () => number | null;
  /** Stands still while the machine sleeps. */
  readonly monotonicMs: () => number;
  /** Goes on while the machine sleeps, but people and time servers may set it. */
  readonly wallMs: () => number;
}

// The kernel is asked again after this time in any case.
const ASK_AGAIN_MS = 100;

// The kernel is asked at once when the wall clock has moved against the monotonic one by more than this. Reading both takes far less.
const WALL_MOVED_MS = 5;

/** How far the difference of two uptimes may be off: 10 ms are the kernel's own grain, the rest is drift below the threshold, and rounding. */
export const UPTIME_ERROR_MS = 20;

/**
 * A clock that counts sleep and rarely asks the kernel: reading `/proc/uptime` takes 3 µs, and every request of a hand-off needs the time.
 *
 * Between two questions the clock goes on with the monotonic one. Only sleep can make that wrong, and then it is behind, never ahead.
 * When a machine wakes, the kernel moves its wall clock forward by the time that it slept, before it lets any process run. So every
 * reading compares the wall clock with the monotonic one, which takes no system call, and asks the kernel when the two have moved apart:
 * the first reading after a sleep already counts it. If someone sets the wall clock back by just as much in that moment, the clock is
 * behind for the first {@link ASK_AGAIN_MS} that the process is awake. A session's watchdog looks no more often than about that, and the
 * time that is kept back before a session can end is several times as long.
 */
export function createUptimeClock({ kernelMs, monotonicMs, wallMs }: UptimeSources): () => number {
  let aheadMs = Number.NEGATIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let wallAheadMs = 0;
  return () => {
    const now = monotonicMs();
    const wallAheadNowMs = wallMs() - now;
    if (now - askedAt >= ASK_AGAIN_MS || Math.abs(wallAheadNowMs - wallAheadMs) > WALL_MOVED_MS) {
      const kernel = kernelMs();
      if (kernel === null) return now;
      // The kernel cuts its figure off, and the monotonic clock is read after it: the greatest difference is the best, and none is too great.
      aheadMs = Math.max(aheadMs, kernel - monotonicMs());
      askedAt = now;
      wallAheadMs = wallAheadNowMs;
    }
    return Math.floor(now + aheadMs);
  };
}

// Opened once for the whole process: opening takes longer than everything else.
let file: number | null | undefined;
const text = Buffer.alloc(64);

/**
 * Milliseconds since boot, sleep included. Only differences mean anything. Where there is no `/proc`, this is the monotonic clock, which
 * does not count sleep.
 */
export const uptimeMs = createUptimeClock({
  kernelMs: () => {
    if (file === undefined) file = openOrNull();
    if (file === null) return null;
    const length = readSync(file, text, 0, text.length, 0);
    return Math.round(Number.parseFloat(text.toString("latin1", 0, length)) * 1_000);
  },
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
});

function openOrNull(): number | null {
  try {
    return openSync("/proc/uptime", "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
