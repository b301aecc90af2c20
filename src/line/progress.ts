// What a wait and a run tell of themselves while they go on. How it is shown is the caller's matter.
import type { Condition, Failure, Owner } from "../locks/claim.js";

/** The claim at the head of the line, as a waiter tells of it. */
export interface HeadOfLine {
  readonly owner: Owner;
  /** Whether another machine than this one, which has the same name, made it. */
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
   * Where the claim stands. Called at every look, whether anything has changed or not.
   * @param ahead how many claims are before it
   * @param head the claim that holds the lock; `null` when that has just left
   */
  waiting(lock: string, ahead: number, head: HeadOfLine | null): void;
  /** A step of the run, in words, with details for a log. Ends the waiting. */
  step(message: string, details: Readonly<Record<string, unknown>>): void;
}

/** Tells nobody. */
export const SILENT_PROGRESS: Progress = { waiting: () => undefined, step: () => undefined };
