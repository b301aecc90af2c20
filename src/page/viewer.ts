// Who looks at the page, and what they may do to which locks. Decides what is offered; the server asks again. Pure.
import { matchesPattern } from "../locks/patterns.js";

export interface Viewer {
  readonly name: string;
  readonly may: readonly ("read" | "lock" | "clear")[];
  /** Patterns of locks' names. */
  readonly locks: readonly string[];
}

/** Whether the viewer may do this to the lock. */
export function mayDo({ may, locks }: Viewer, right: Viewer["may"][number], lock: string): boolean {
  return may.includes(right) && locks.some((pattern) => matchesPattern(pattern, lock));
}
