// What a run has to show for itself: its result, and where the action was not begun, the attempt in the journal.
import type { GuardedAction } from "./action.js";
import type { GuardContext } from "./context.js";
import type { ActionEnd } from "./execution.js";
import type { ShutOutcome } from "../gates/gate.js";
import type { Outcome, Result } from "./result.js";

/**
 * Whose wish a run fulfils: one that is made now (`wished`); or none of its own, and it finishes what was left, wherever that
 * is (`if-left`) or only where it stands in a line (`if-in-line`).
 */
export type Wish = "wished" | "if-left" | "if-in-line";

/** Begins with the run: the time until the turn comes is counted from here. */
export class RunReport {
  readonly #action: GuardedAction;
  readonly #context: Pick<GuardContext, "machine" | "log">;
  readonly #wish: Wish;
  readonly #startedAt: number;
  #waitedMs = 0;
  /** The durable claim in the run's hand. */
  claim: { readonly id: string; readonly fencingToken: number } | null = null;

  constructor(action: GuardedAction, context: Pick<GuardContext, "machine" | "log">, wish: Wish) {
    this.#action = action;
    this.#context = context;
    this.#wish = wish;
    this.#startedAt = context.machine.clock.now();
  }

  /** How long the run had waited when its latest wait ended. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  endWait(): void {
    this.#waitedMs = this.#context.machine.clock.now() - this.#startedAt;
  }

  /** The action was not begun: the next run, or a resume, tries again. */
  notRun(outcome: "timed-out" | "unreachable" | "not-now" | ShutOutcome, message: string): Result {
    const { machine, log } = this.#context;
    const { journal, processes } = machine;
    const { name, lock, isOfExec } = this.#action;
    this.endWait();
    const result = this.result(outcome, message, null);
    // Nobody but its caller can do the work of an action without a command.
    if (isOfExec === true || this.#action.argv.length === 0) return result;
    const pending = journal.attempts(name);
    // A resume has no wish of its own: where something is pending, it has tried once more for what was wished then.
    const wish = this.#wish === "wished" ? processes.moment() : (pending?.latest ?? null);
    const attempts = wish === null ? 1 : journal.addAttempt(name, wish).count;
    const often = attempts === 1 ? "" : `; this was attempt ${attempts}`;
    if (outcome === "timed-out") log.warn({ action: name, lock }, `${name} was not run, timed out waiting: ${message}${often}`);
    else if (outcome === "not-now") log.info({ action: name, lock }, `${name} is not done, and not now: ${message}${often}`);
    else if (outcome !== "unreachable") log.info({ action: name, lock }, `${name} was not run: ${message}${often}`);
    // Not in the message: that one is news to the fleet when it changes.
    return { ...result, attempts };
  }

  /** @param end `null` where the command did not run */
  result(outcome: Outcome, message: string, end: ActionEnd | null): Result {
    return {
      action: this.#action.name,
      lock: this.#action.lock,
      outcome,
      claim: this.claim?.id ?? null,
      fencingToken: this.claim?.fencingToken ?? null,
      coordinated: true,
      waitedMs: Math.round(this.#waitedMs),
      ranMs: end === null ? null : Math.round(end.ranMs),
      exitCode: end?.exitCode ?? null,
      signal: end?.signal ?? null,
      message,
    };
  }
}
