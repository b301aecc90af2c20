// A run with its durable claim in hand: the command, the check, and then the claim is let go, or kept where the action has
// failed. The journal is written before what it must remember; that it cannot be written never keeps a lock.
import type { Failure } from "../locks/claim.js";
import type { EndEvent, Ending } from "../locks/coordinator.js";
import { bestEffort } from "../locks/errors.js";
import { environmentOf } from "../line/environment.js";
import type { GuardedAction } from "./action.js";
import type { GuardContext } from "./context.js";
import type { ActionEnd, ExecutionContext } from "./execution.js";
import { execute, verify } from "./execution.js";
import type { Hold } from "./hold.js";
import type { Leader, RunPhase } from "./machine.js";
import type { Outcome } from "./result.js";

/** How it ended. */
export interface Conclusion {
  readonly outcome: Outcome;
  readonly message: string;
  /** `null` where the command did not run. */
  readonly end: ActionEnd | null;
}

export class HeldRun {
  readonly #action: GuardedAction;
  readonly #context: GuardContext;
  readonly #hold: Hold;
  #mayHaveBegun = false;

  constructor(action: GuardedAction, context: GuardContext, hold: Hold) {
    this.#action = action;
    this.#context = context;
    this.#hold = hold;
  }

  /**
   * Runs the command and the check, and lets the claim go or keeps it.
   * @param event how the claim ends after success; one of our own (`released`) also ends when the action could not begin,
   *   while a leftover stays one
   * @throws InterruptedError when asked to stop before the command began
   */
  async run(event: "released" | "recovered"): Promise<Conclusion> {
    const { machine, principal, log, stop } = this.#context;
    let end: ActionEnd;
    try {
      stop.signal.throwIfAborted();
      end = await execute(this.#action, this.#execution());
      if (!end.began && stop.signal.aborted) {
        // Called off behind its gate: the journal has its group, which has done nothing.
        this.#mayHaveBegun = false;
        throw stop.signal.reason;
      }
    } catch (error) {
      if (event === "released" && !this.#mayHaveBegun) await this.#giveBack();
      throw error;
    }
    if (end.lacksRoom) {
      if (event === "released") await this.#giveBack();
      if (this.#action.isOfExec !== true) machine.journal.addAttempt(this.#action.name, machine.processes.moment());
      return { outcome: "not-now", message: end.message, end: null };
    }
    if (end.succeeded) {
      // It matters only when the release fails.
      await this.#journal("succeeded", null);
      return this.letGo(event, "ran", "", end);
    }
    const { exitCode, signal, message } = end;
    log.error({ action: this.#action.name, exitCode, signal }, `${this.#action.name} failed: ${message}`);
    if (this.#action.onFailure === "release") return this.letGo("failed", "failed", message, end);
    const kept = await this.#hold.fail(failureIn(end), machine.processes.moment(), principal);
    await this.#forget();
    const about = kept.outcome === "done" ? `the lock ${this.#hold.lock} is kept` : kept.why;
    return { outcome: "failed", message: `${message}; ${about}`, end };
  }

  async #giveBack(): Promise<void> {
    await this.#hold.release(this.#ending("released", "the action was not begun"));
    await this.#forgetRun();
  }

  /** Runs only the check. */
  check(): Promise<ActionEnd> {
    return verify(this.#action, this.#execution());
  }

  /** Ends the claim. */
  async letGo(event: EndEvent, outcome: Outcome, message: string, end: ActionEnd | null): Promise<Conclusion> {
    const failure = outcome === "failed" && end !== null ? failureIn(end) : null;
    const left = await this.#hold.release(this.#ending(event, message === "" ? null : message), failure);
    if (left.outcome === "unreachable" && outcome !== "failed") {
      // The journal remembers the success: the next run, or a resume, releases.
      return {
        outcome: "unreachable",
        message: `${this.#action.name} is done but the lock could not be released: ${left.why}`,
        end,
      };
    }
    await this.#forget();
    if (left.outcome === "done") return { outcome, message, end };
    const about = `${message === "" ? "" : `${message}; `}${left.why}`;
    this.#context.progress.step(about, { claim: this.#hold.id });
    return { outcome, message: about, end };
  }

  #ending(event: EndEvent, reason: string | null): Ending {
    return { event, by: this.#context.principal, reason };
  }

  #execution(): ExecutionContext {
    const { machine, progress, stop, node } = this.#context;
    const { id, lock, fencingToken } = this.#hold;
    const env = environmentOf({ action: this.#action.name, lock, node }, { id, fencingToken });
    return { machine, progress, stop, env, onGroup: (phase, leader) => this.#onGroup(phase, leader) };
  }

  #onGroup(phase: "running" | "verifying", leader: Leader): void | Promise<void> {
    // The action has run: its check does not depend on the journal.
    if (phase === "verifying") return this.#journal(phase, leader);
    this.#remember(phase, leader);
    this.#mayHaveBegun = true;
  }

  #journal(phase: RunPhase, group: Leader | null): Promise<void> {
    return bestEffort(this.#context.log, `the journal could not be written: it does not say "${phase}"`, () =>
      this.#remember(phase, group),
    );
  }

  #remember(phase: RunPhase, group: Leader | null): void {
    const { journal, processes } = this.#context.machine;
    const { id, lock } = this.#hold;
    journal.saveRun({ claim: id, lock, action: this.#action.name, agent: processes.self, phase, group });
  }

  async #forget(): Promise<void> {
    const { journal } = this.#context.machine;
    await this.#forgetRun();
    await bestEffort(this.#context.log, "the journal could not be written: it still speaks of attempts", () =>
      journal.clearAttempts(this.#action.name),
    );
  }

  #forgetRun(): Promise<void> {
    const { journal } = this.#context.machine;
    return bestEffort(
      this.#context.log,
      "the journal could not be written: what it still says of this run is looked up in the store",
      () => journal.removeRun(this.#action.name, this.#hold.id),
    );
  }
}

function failureIn({ exitCode, signal, message, output }: ActionEnd): Omit<Failure, "at"> {
  return { exitCode, signal, message, output };
}
