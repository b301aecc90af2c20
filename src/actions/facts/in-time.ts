// Looking at the machine for a bounded time. A file server that is gone keeps whoever asks for a file waiting for as long as it is gone,
// and nothing can call such a question back.
import { formatDuration } from "../../locks/durations.js";
import { link } from "../../locks/signals.js";

/** The look took too long. Its message says so, in words that follow what was looked at. */
export class TooLongError extends Error {}

/**
 * What `look` finds.
 * @param mostMs how long it may take, in milliseconds
 * @param look is told by its signal when nobody waits for it any more; it need not heed that
 * @throws TooLongError when the time is over first
 * @throws what `stop` is aborted with
 */
export async function inTime<T>(
  mostMs: number,
  stop: AbortSignal | undefined,
  look: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new TooLongError(`took longer than ${formatDuration(mostMs)}`)), mostMs);
  const { signal, unlink } = link(stop, late.signal);
  try {
    signal.throwIfAborted();
    // In this order: what the look makes of the signal is not what ends the wait.
    return await Promise.race([rejectedBy(signal), look(signal)]);
  } finally {
    clearTimeout(timer);
    unlink();
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }));
}
