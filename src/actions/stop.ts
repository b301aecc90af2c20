// The wish of a user or a service manager that this process ends, as guarded runs see it. A run that waits stops at once; a run
// whose command has begun passes the wish on to the command.
import { HoldlineError } from "../locks/errors.js";

export interface StopRequests {
  /** Aborted at the first request, with an {@link InterruptedError}. */
  readonly signal: AbortSignal;
  /** Calls the listener with every request as it comes. @returns a function that ends the subscription */
  subscribe(listener: (signal: NodeJS.Signals) => void): () => void;
}

/** The process was asked to end before the action had begun, and nothing is left behind; or while it soaked. */
export class InterruptedError extends HoldlineError {
  override readonly name = "InterruptedError";
  /** @param what is left, in words */
  constructor(
    readonly signal: NodeJS.Signals,
    what = "nothing was run",
  ) {
    super("interrupted", `interrupted by ${signal}; ${what}`);
  }
}
