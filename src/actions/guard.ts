// One guarded run: wait in line, settle, run the action, check it, and let go, or keep the lock where it failed. Owns the
// order of these steps and what each outcome means for the claim; the journal is written before what it must remember.
//
//   looking → waiting → granted → settled → running → succeeded → released
//      │          └ timed out: journalled        └ failed: kept (toxic), or released where the action says so
//      └ leftover of one's own: adopted → settled, or released without running
import { randomUUID } from "node:crypto";
import type { BootMoment, Claim, ClaimRecord, Owner } from "../locks/claim.js";
import type { Coordinator, Draft, Ending, EndEvent, Log } from "../locks/coordinator.js";
import { formatDuration } from "../locks/durations.js";
import { bestEffort, ClaimLostError, messageOf, SessionLostError, UnreachableError } from "../locks/errors.js";
import type { GuardedAction } from "./action.js";
import type { ActionEnd, ExecutionContext } from "./execution.js";
import { execute, verify } from "./execution.js";
import { Hold } from "./hold.js";
import type { LineOutcome } from "./line.js";
import { describeBehind, ordinal, waitInLine } from "./line.js";
import type { Machine, RunEntry } from "./machine.js";
import type { Progress } from "./progress.js";
import { adoptLeftover, endLeftover, findLeftovers, isLeftover, isOwnerGone, restartedSince } from "./recovery.js";
import type { Outcome, Result } from "./result.js";
import type { StopRequests } from "./stop.js";

export interface GuardContext {
  readonly node: string;
  readonly principal: string;
  readonly releaseTimeoutMs: number;
  readonly machine: Machine;
  readonly progress: Progress;
  readonly log: Log;
  readonly stop: StopRequests;
  /** @throws UnreachableError within the connect timeout */
  readonly coordinator: () => Promise<Coordinator>;
}

/**
 * Runs an action under its lock, after dealing with what an earlier run of it left on this node.
 * @throws InterruptedError when asked to stop before the action began; nothing is left behind
 */
export async function runGuarded(action: GuardedAction, context: GuardContext): Promise<Result> {
  return (await new GuardedRun(action, context).run("anyway")) as Result;
}

/** Finishes what earlier runs of an action left on this node; `null` where nothing was left. */
export function resumeGuarded(action: GuardedAction, context: GuardContext): Promise<Result | null> {
  return new GuardedRun(action, context).run("if-left");
}

/** Runs an action without any lock, and says so. */
export function runUncoordinated(action: GuardedAction, context: GuardContext): Promise<Result> {
  context.log.warn({ action: action.name }, "coordination is skipped: the action runs without any lock");
  return new GuardedRun(action, context).runAlone();
}

class GuardedRun {
  readonly #action: GuardedAction;
  readonly #context: GuardContext;
  readonly #machine: Machine;
  readonly #owner: Owner;
  readonly #startedAt: number;
  #waitedMs = 0;
  #hold: Hold | null = null;

  constructor(action: GuardedAction, context: GuardContext) {
    this.#action = action;
    this.#context = context;
    this.#machine = context.machine;
    this.#owner = { node: context.node, principal: context.principal, action: action.name, process: context.machine.processes.self };
    this.#startedAt = context.machine.clock.now();
  }

  async run(when: "anyway" | "if-left"): Promise<Result | null> {
    try {
      return await this.#guarded(await this.#context.coordinator(), when);
    } catch (error) {
      // From the moment at which the action begins, a store that does not answer is dealt with where it happens.
      if (error instanceof UnreachableError) return this.#notRun("unreachable", messageOf(error), when);
      throw error;
    }
  }

  async runAlone(): Promise<Result> {
    const env = { HOLDLINE_ACTION: this.#action.name, HOLDLINE_LOCK: this.#action.lock, HOLDLINE_NODE: this.#context.node };
    const end = await execute(this.#action, this.#execution(env, () => undefined));
    return { ...this.#result(end.succeeded ? "ran" : "failed", end.message, end), coordinated: false };
  }

  async #guarded(coordinator: Coordinator, when: "anyway" | "if-left"): Promise<Result | null> {
    const { stop, node } = this.#context;
    const { journal } = this.#machine;
    for (;;) {
      stop.signal.throwIfAborted();
      const [leftover, ...others] = await findLeftovers(this.#action, node, coordinator, this.#machine, stop.signal);
      if (leftover !== undefined) {
        // One stands for all: the others' runs are over as well, and one lock is enough to keep.
        const ending = this.#ending("recovered", `recovered with ${leftover.id}`);
        for (const other of others) await endLeftover(this.#action, other, this.#owner, ending, coordinator, this.#machine);
        if (leftover.lock !== this.#action.lock) {
          // The configuration names another lock since: what was left under the old one is owed under the new.
          const moved = this.#ending("recovered", `the action's lock is ${this.#action.lock} now`);
          await endLeftover(this.#action, leftover, this.#owner, moved, coordinator, this.#machine);
          journal.addAttempt(this.#action.name, leftover.made ?? this.#machine.processes.moment());
          journal.removeRun(this.#action.name, leftover.id);
          continue;
        }
        const recovered = await this.#recover(coordinator, leftover);
        if (recovered !== null) return recovered;
        continue;
      }
      const attempts = journal.attempts(this.#action.name);
      if (when === "if-left" && attempts === null) return null;
      if (attempts !== null && (await this.#restartedSince(attempts.first))) return this.#neededNoMore();

      const draft = this.#draft();
      const line = await this.#wait(coordinator, draft);
      if (line.outcome === "leftover") continue;
      if (line.outcome === "timed-out") return this.#notRun("timed-out", this.#timeoutMessage(line), when);
      if (line.outcome === "taken-out") return this.#notRun("timed-out", line.message, when);
      // Another resume of this node may have done meanwhile what was left.
      const isDone = when === "if-left" && journal.attempts(this.#action.name) === null;
      if (isDone || (attempts !== null && (await this.#restartedSince(attempts.first)))) {
        await coordinator.withdraw(line.joined.standings);
        return isDone ? null : this.#neededNoMore();
      }
      const result = await this.#settleAndRun(coordinator, draft, line);
      if (result !== null) return result;
    }
  }

  /** A draft has a new id each time: what a lost session left in the queue is not taken for it. */
  #draft(): Draft {
    const { lock, key, slots, data } = this.#action;
    return { id: randomUUID(), locks: [lock], key, slots, owner: this.#owner, reason: null, data };
  }

  async #wait(coordinator: Coordinator, draft: Draft): Promise<LineOutcome> {
    const { node, progress, stop } = this.#context;
    const { clock, processes } = this.#machine;
    const { name, acquire } = this.#action;
    const leftMs = acquire.timeoutMs === null ? null : Math.max(0, acquire.timeoutMs - this.#waitedMs);
    const line = await waitInLine(coordinator, draft, {
      clock,
      progress,
      acquire: { ...acquire, timeoutMs: leftMs },
      ownerGone: (claim) => isOwnerGone(claim, processes),
      isLeftover: (claim) => isLeftover(claim, node, name, processes),
      stop: stop.signal,
    });
    this.#waitedMs = clock.now() - this.#startedAt;
    return line;
  }

  /** `null` when the claim was lost before the action began: there is a new line to join. */
  async #settleAndRun(coordinator: Coordinator, draft: Draft, line: Extract<LineOutcome, { outcome: "granted" }>): Promise<Result | null> {
    const record: ClaimRecord = { ...withoutLocks(draft), made: this.#machine.processes.moment(), expiresAt: null, failure: null };
    let settled;
    try {
      settled = await coordinator.settle(draft, line.joined, record);
    } catch (error) {
      if (!(error instanceof SessionLostError) && !(error instanceof ClaimLostError)) {
        // The session may live on: nobody is to wait behind a run that is over.
        await coordinator.withdraw(line.joined.standings);
        throw error;
      }
      this.#context.progress.step(`the claim was lost before the action began, joining again: ${error.message}`, { lock: this.#action.lock });
      return null;
    }
    const hold = new Hold(draft.id, this.#action.lock, settled, record, this.#holdOptions(coordinator));
    this.#hold = hold;
    if (!this.#context.stop.signal.aborted) return this.#runUnder(hold, "released");
    await hold.release(this.#ending("released", "interrupted before the action began"));
    throw this.#context.stop.signal.reason;
  }

  /** Deals with a claim that an earlier run left. `null` when someone else was faster. */
  async #recover(coordinator: Coordinator, leftover: Claim): Promise<Result | null> {
    const { journal } = this.#machine;
    const { progress } = this.#context;
    const { name } = this.#action;
    const told = { action: name, lock: leftover.lock, claim: leftover.id };
    if (journal.runs(name).some((entry) => entry.claim === leftover.id && entry.phase === "succeeded")) {
      progress.step("an earlier run had succeeded and could not release its claim: releasing it", told);
      const left = await coordinator.leave(leftover.id, [leftover], this.#ending("recovered", "the journal says that the action had succeeded"));
      if (left === "changed") return null;
      this.#forget(leftover.id);
      return { ...this.#result("already-done", "an earlier run had succeeded; its claim is released now", null), claim: leftover.id };
    }

    progress.step(leftover.failure === null ? "taking up the claim of a run whose process is gone" : "taking up the claim of a run that failed", told);
    const { made } = leftover;
    const adopted = await adoptLeftover(this.#action, leftover, this.#owner, coordinator, this.#machine);
    if (adopted === null) return null;
    const hold = new Hold(leftover.id, leftover.lock, adopted.settled, adopted.record, this.#holdOptions(coordinator));
    this.#hold = hold;
    this.#context.stop.signal.throwIfAborted();
    if (made !== null && (await this.#restartedSince(made))) {
      // Restarted is not yet healthy: where the action has a check, that decides whether the lock may go.
      const checked = await verify(this.#action, this.#executionUnder(hold));
      if (checked.succeeded) return this.#letGo(hold, "recovered", "already-restarted", "the process had restarted since the claim was made", null);
      progress.step(`the process has restarted but is not healthy, running the action again: ${checked.message}`, told);
    }
    return this.#runUnder(hold, "recovered");
  }

  async #runUnder(hold: Hold, event: EndEvent): Promise<Result> {
    const { machine, progress, stop } = this.#context;
    let end: ActionEnd;
    try {
      end = await execute(this.#action, this.#executionUnder(hold));
    } catch (error) {
      // Such as a journal that cannot be written: the command has not begun. A claim of one's own is let go, a leftover stays one.
      if (event === "released") await hold.release(this.#ending(event, "the action could not be begun"));
      throw error;
    }
    if (!end.began && stop.signal.aborted) {
      if (event === "released") await hold.release(this.#ending(event, "interrupted before the action began"));
      throw stop.signal.reason;
    }
    if (end.succeeded) {
      // It matters only when the release fails: a journal that cannot be written must not keep the lock.
      await bestEffort(this.#context.log, "the journal does not know of the success", () => this.#remember(hold, "succeeded", null));
      return this.#letGo(hold, event, "ran", "", end);
    }
    progress.step(`${this.#action.name} failed: ${end.message}`, { action: this.#action.name, exitCode: end.exitCode, signal: end.signal });
    if (this.#action.onFailure === "release") return this.#letGo(hold, "failed", "failed", end.message, end);
    const { exitCode, signal, message, output } = end;
    const kept = await hold.fail({ exitCode, signal, message, output }, machine.processes.moment());
    this.#forget(hold.id);
    const about = kept.outcome === "done" ? `the lock ${hold.lock} is kept` : kept.why;
    return this.#result("failed", `${end.message}; ${about}`, end);
  }

  async #letGo(hold: Hold, event: EndEvent, outcome: Outcome, message: string, end: ActionEnd | null): Promise<Result> {
    const left = await hold.release(this.#ending(event, message === "" ? null : message));
    if (left.outcome === "unreachable" && outcome !== "failed") {
      // The journal remembers the success: the next run, or a resume, releases.
      return this.#result("unreachable", `${this.#action.name} is done but the lock could not be released: ${left.why}`, end);
    }
    this.#forget(hold.id);
    if (left.outcome === "done") return this.#result(outcome, message, end);
    const about = `${message === "" ? "" : `${message}; `}${left.why}`;
    this.#context.progress.step(about, { claim: hold.id });
    return this.#result(outcome, about, end);
  }

  /** Earlier attempts timed out, and the process has been restarted since by someone else. */
  #neededNoMore(): Result {
    this.#machine.journal.clearAttempts(this.#action.name);
    return this.#result("already-restarted", "the process has restarted since the first attempt", null);
  }

  /** The action was not begun: the next run, or a resume, tries again. */
  #notRun(outcome: "timed-out" | "unreachable", message: string, when: "anyway" | "if-left"): Result {
    const { journal, processes, clock } = this.#machine;
    this.#waitedMs = clock.now() - this.#startedAt;
    // A resume that finds the store away has not been asked for the action: only what is pending stays so.
    const isAskedFor = when === "anyway" || journal.attempts(this.#action.name) !== null;
    const count = isAskedFor ? journal.addAttempt(this.#action.name, processes.moment()).count : 1;
    const often = count === 1 ? "" : `; this was attempt ${count}`;
    return this.#result(outcome, `${message}${often}`, null);
  }

  #timeoutMessage({ ahead, behind }: Extract<LineOutcome, { outcome: "timed-out" }>): string {
    const { acquire, lock } = this.#action;
    const wait = acquire.timeoutMs === 0 ? "not waiting" : `gave up after ${formatDuration(this.#waitedMs)}`;
    return `${wait}, ${ordinal(Math.max(1, ahead))} in line for ${lock}${behind === null ? "" : `; ${describeBehind(behind)}`}`;
  }

  #restartedSince(moment: BootMoment): Promise<boolean> {
    return restartedSince(this.#action, moment, this.#machine.processes);
  }

  #holdOptions(coordinator: Coordinator): { coordinator: Coordinator; clock: Machine["clock"]; releaseTimeoutMs: number } {
    return { coordinator, clock: this.#machine.clock, releaseTimeoutMs: this.#context.releaseTimeoutMs };
  }

  #ending(event: EndEvent, reason: string | null): Ending {
    return { event, by: this.#context.principal, reason };
  }

  #remember(hold: Hold, phase: RunEntry["phase"], group: RunEntry["group"]): void {
    const { journal, processes } = this.#machine;
    journal.saveRun({ claim: hold.id, lock: hold.lock, action: this.#action.name, agent: processes.self, phase, group });
  }

  #forget(claim: string): void {
    this.#machine.journal.removeRun(this.#action.name, claim);
    this.#machine.journal.clearAttempts(this.#action.name);
  }

  #executionUnder(hold: Hold): ExecutionContext {
    const env = {
      HOLDLINE_ACTION: this.#action.name,
      HOLDLINE_LOCK: hold.lock,
      HOLDLINE_CLAIM: hold.id,
      HOLDLINE_FENCING_TOKEN: String(hold.fencingToken),
      HOLDLINE_NODE: this.#context.node,
    };
    return this.#execution(env, (phase, leader) => {
      if (phase === "running") return this.#remember(hold, phase, leader);
      // The action has run: a check may not fail for the journal's sake.
      void bestEffort(this.#context.log, "the journal does not know of the check", () => this.#remember(hold, phase, leader));
    });
  }

  #execution(env: ExecutionContext["env"], onGroup: ExecutionContext["onGroup"]): ExecutionContext {
    const { progress, stop } = this.#context;
    return { machine: this.#machine, progress, stop, env, onGroup };
  }

  #result(outcome: Outcome, message: string, end: ActionEnd | null): Result {
    return {
      action: this.#action.name,
      lock: this.#action.lock,
      outcome,
      claim: this.#hold?.id ?? null,
      fencingToken: this.#hold?.fencingToken ?? null,
      coordinated: true,
      waitedMs: Math.round(this.#waitedMs),
      ranMs: end === null ? null : Math.round(end.ranMs),
      exitCode: end?.exitCode ?? null,
      signal: end?.signal ?? null,
      message,
    };
  }
}

function withoutLocks({ owner, key, slots, reason, data }: Draft): Pick<ClaimRecord, "owner" | "key" | "slots" | "reason" | "data"> {
  return { owner, key, slots, reason, data };
}
