// What a guarded run tells of itself while it goes on. How it is shown is the caller's matter.
import type { Condition, Failure, Owner } from "../locks/claim.js";

/** The nearest thing that a waiter can be told about: the claim at the head of the line. */
export interface Behind {
  readonly owner: Owner;
  /** Is that another machine than this one, which has the same name? */
  readonly isNamesakes: boolean;
  readonly condition: Condition;
  /** How long it has been there, in milliseconds, by the coordinator's clock. */
  readonly forMs: number;
  /** Why it was claimed, in its owner's words. */
  readonly reason: string | null;
  readonly failure: (Failure & { readonly agoMs: number }) | null;
}

export interface Progress {
  /**
   * Where the claim stands; said at every look, changed or not.
   * @param ahead how many claims are before it
   * @param behind what holds the lock; `null` when that has just left
   */
  waiting(lock: string, ahead: number, behind: Behind | null): void;
  /** A step of the run, in words, with details for a log. Ends the waiting. */
  step(message: string, details: Readonly<Record<string, unknown>>): void;
}
