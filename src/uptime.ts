// The time since boot with the time that the machine has slept: what deadlines that others keep are reckoned by. A suspended
// or paused machine's monotonic clock (`performance.now()`) stands still while a store's goes on.
import { openSync, readSync } from "node:fs";
import { performance } from "node:perf_hooks";

// Opened once for the whole process: it is read with nearly every request, and opening takes longer than all the rest.
let file: number | null | undefined;
const text = Buffer.alloc(64);

/**
 * Milliseconds since boot, sleep included, in steps of 10 ms. Only differences mean anything; where there is no `/proc`, the
 * monotonic clock serves, which does not count sleep.
 */
export function uptimeMs(): number {
  if (file === undefined) file = openOrNull();
  if (file === null) return performance.now();
  const length = readSync(file, text, 0, text.length, 0);
  return Math.round(Number.parseFloat(text.toString("latin1", 0, length)) * 1_000);
}

function openOrNull(): number | null {
  try {
    return openSync("/proc/uptime", "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
