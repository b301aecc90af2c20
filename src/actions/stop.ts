// A user's or service manager's wish that this process ends, as guarded runs see it: while they wait they stop at once,
// while their command runs it is passed on.
import { HoldlineError } from "../locks/errors.js";

export interface StopRequests {
  /** Aborted at the first request, with an {@link InterruptedError}. */
  readonly signal: AbortSignal;
  /** Every request as it comes, to be passed on to a running command. Gives what ends the subscription. */
  subscribe(listener: (signal: NodeJS.Signals) => void): () => void;
}

/** The process was asked to end before the action had begun; nothing is left behind. */
export class InterruptedError extends HoldlineError {
  override readonly name = "InterruptedError";
  constructor(readonly signal: NodeJS.Signals) {
    super("interrupted", `interrupted by ${signal}; nothing was run`);
  }
}
