// The commands that take their lock whatever `skip_coordination` says, and say so.
import type { Context } from "./context.js";

/** Warns that `skip_coordination` changes nothing about a lock that is about to be taken. */
export function warnOfSkipCoordination({ settings, log }: Pick<Context, "settings" | "log">, lock: string): void {
  if (!settings.skipCoordination) return;
  log.warn({ lock }, `skip_coordination is set, but only holdline run goes by it: ${lock} is locked all the same`);
}
