// The machine's monotonic clock, and sleeping by it. Wall time may jump, and has no part here.
import { performance } from "node:perf_hooks";

export interface Clock {
  /** Milliseconds on a monotonic clock: only differences have a meaning. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason when that is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

// The longest delay that a timer takes (2^31 - 1 ms, 24.8 days): Node fires a longer one at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export function createClock(): Clock {
  return { now: () => performance.now(), sleep };
}

async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  const until = performance.now() + ms;
  do {
    await oneTimer(until - performance.now(), signal);
    // Very long sleeps take more rounds; and a timer may fire a fraction of a millisecond early.
  } while (performance.now() < until);
}

function oneTimer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(
      () => {
        // A signal may outlive thousands of sleeps, and none of them may leave a listener on it.
        signal?.removeEventListener("abort", onAbort);
        resolve();
      },
      Math.min(Math.max(ms, 0), LONGEST_TIMER_MS),
    );
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * Gives a piece of work so long at most: then its signal is aborted. What the work makes of that is its own matter.
 * @param late what the signal is aborted with
 */
export async function within<T>(
  clock: Pick<Clock, "sleep">,
  ms: number,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const over = new AbortController();
  clock.sleep(ms, over.signal).then(
    () => deadline.abort(late()),
    () => undefined, // Done before that.
  );
  try {
    return await work(deadline.signal);
  } finally {
    over.abort();
  }
}
