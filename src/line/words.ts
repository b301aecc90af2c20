// The words for a place in line: what is ahead, and why a wait came to nothing.
import { formatDuration } from "../locks/durations.js";
import { execProgramOf } from "../locks/exec-actions.js";
import type { Freeze } from "../locks/freezes.js";
import { shortened } from "../locks/text.js";
import type { HeadOfLine } from "./progress.js";

// A reason may be a page long; a waiter's line has room for its beginning.
const LONGEST_REASON = 100;

/** What holds a lock: "web-07: ann@desk for 12 s (schema 42)", or "FAILED on web-07 3 min ago: exit code 1". @param when before what the time was */
export function describeHead(head: HeadOfLine, when: "ago" | "before" = "ago"): string {
  const { owner, condition, failure, reason } = head;
  const what = owner.action ?? owner.principal;
  const node = head.isNamesakes ? `${owner.node} (another machine of this name)` : owner.node;
  // The node's next run or resume takes up an action's claim. Only somebody who types the same command takes up an exec's.
  const ends =
    execProgramOf(owner.action) !== null && (failure !== null || condition === "stale")
      ? ` (ends with the same "holdline exec --durable" there, or holdline clear)`
      : "";
  if (failure !== null) return `FAILED on ${node} ${formatDuration(failure.agoMs)} ${when}: ${failure.message}${ends}`;
  const agent = condition === "stale" ? ", its agent is gone" : "";
  const why = reason === null ? "" : ` (${shortened(reason, LONGEST_REASON)})`;
  return `${node}: ${what} for ${formatDuration(head.forMs)}${agent}${why}${ends}`;
}

/** "3rd in line for restart/nginx". */
export function describePlace(lock: string, ahead: number): string {
  return `${ordinal(Math.max(1, ahead))} in line for ${lock}`;
}

/**
 * Why a wait came to nothing: "gave up after 30 s, 3rd in line for restart/nginx; web-07: restart-nginx for 12 s". It is read
 * when the wait has long been over, so it says how long before.
 */
export function describeTimeout(
  lock: string,
  { ahead, head }: { readonly ahead: number; readonly head: HeadOfLine | null },
  { timeoutMs, waitedMs }: { readonly timeoutMs: number | null; readonly waitedMs: number },
): string {
  const wait = timeoutMs === 0 ? "not waiting" : `gave up after ${formatDuration(waitedMs)}`;
  return `${wait}, ${describePlace(lock, ahead)}${head === null ? "" : `; ${describeHead(head, "before")}`}`;
}

/** Why nothing may begin: "frozen by ann@desk (sale) until 2026-11-30T08:00:00.000Z; and 2 more". Empty where nothing binds. */
export function describeFreezes([first, ...others]: readonly Freeze[]): string {
  if (first === undefined) return "";
  const { by, reason, until } = first;
  const end = until === null ? "" : ` until ${new Date(until).toISOString()}`;
  return `frozen by ${by} (${shortened(reason, LONGEST_REASON)})${end}${others.length === 0 ? "" : `; and ${others.length} more`}`;
}

/** "1st", "2nd", "3rd", "11th". */
export function ordinal(place: number): string {
  const suffix = place % 100 >= 11 && place % 100 <= 13 ? "th" : (["th", "st", "nd", "rd"][place % 10] ?? "th");
  return `${place}${suffix}`;
}
