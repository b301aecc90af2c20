// The warning of commands that take their lock although `skip_coordination` is set.
import type { Context } from "./context.js";

/** Warns that the command is about to take a lock in spite of `skip_coordination`. */
export function warnOfSkipCoordination({ settings, log }: Pick<Context, "settings" | "log">, lock: string): void {
  if (!settings.skipCoordination) return;
  log.warn({ lock }, `skip_coordination is set, but only holdline run heeds it: ${lock} is locked all the same`);
}
