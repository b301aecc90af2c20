// One guarded run: look for leftovers, wait in line, settle, and hand over to held-run.ts, which runs the action. Owns the
// order of these steps, and what becomes of a run that never comes to its action.
//
//   looking → waiting → granted → settled → running → succeeded → released
//      │          └ timed out: journalled        └ failed: kept (toxic), or released where the action says so
//      └ leftover of one's own: adopted → settled, or released without running
import { randomUUID } from "node:crypto";
import type { BootMoment, Claim, ClaimRecord, Owner } from "../locks/claim.js";
import type { Coordinator, Draft, EndEvent, Ending } from "../locks/coordinator.js";
import { ClaimLostError, messageOf, SessionLostError, UnreachableError } from "../locks/errors.js";
import type { GuardedAction } from "./action.js";
import { environmentOf } from "../line/environment.js";
import { describeTimeout } from "../line/words.js";
import { type GuardContext, perspectiveOn } from "./context.js";
import { execute, type ActionEnd } from "./execution.js";
import type { Conclusion } from "./held-run.js";
import { HeldRun } from "./held-run.js";
import { Hold } from "./hold.js";
import type { LineOutcome } from "../line/waiting.js";
import { waitInLine } from "../line/waiting.js";
import type { Machine } from "./machine.js";
import { adoptLeftover, endLeftover, findLeftovers, isLeftover, latestWish, restartedSince } from "./recovery.js";
import type { Outcome, Result } from "./result.js";
import { StoreAge } from "./store-age.js";

/**
 * Runs an action under its lock, after dealing with what an earlier run of it left on this node.
 * @throws InterruptedError when asked to stop before the action began; nothing is left behind
 */
export async function runGuarded(action: GuardedAction, context: GuardContext): Promise<Result> {
  return (await new GuardedRun(action, context).run("wished")) as Result;
}

/** Finishes what earlier runs of an action left in a line; `null` where nothing stands there. */
export function recoverGuarded(action: GuardedAction, context: GuardContext): Promise<Result | null> {
  return new GuardedRun(action, context).run("if-in-line");
}

/** Finishes what earlier runs of an action left on this node, in a line or in the journal; `null` where nothing was left. */
export function resumeGuarded(action: GuardedAction, context: GuardContext): Promise<Result | null> {
  return new GuardedRun(action, context).run("if-left");
}

/** Runs an action without any lock, and says so. */
export function runUncoordinated(action: GuardedAction, context: GuardContext): Promise<Result> {
  context.log.warn({ action: action.name }, "coordination is skipped: the action runs without any lock");
  return new GuardedRun(action, context).runAlone();
}

/** A wish made now; or none of its own: what was left is finished, wherever it is or only where it stands in a line. */
type When = "wished" | "if-left" | "if-in-line";

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
    this.#owner = {
      node: context.node,
      principal: context.principal,
      action: action.name,
      process: context.machine.processes.self,
      machine: context.machine.id,
    };
    this.#startedAt = context.machine.clock.now();
  }

  async run(when: When): Promise<Result | null> {
    try {
      return await this.#guarded(await this.#context.coordinator(this.#action.lock), when);
    } catch (error) {
      // From the moment at which the action begins, a store that does not answer is dealt with where it happens.
      if (error instanceof UnreachableError) return this.#notRun("unreachable", messageOf(error), when);
      throw error;
    }
  }

  async runAlone(): Promise<Result> {
    const { machine, progress, log, stop, node } = this.#context;
    const env = environmentOf({ action: this.#action.name, lock: this.#action.lock, node }, null);
    const end = await execute(this.#action, { machine, progress, stop, env, onGroup: () => undefined });
    if (end.lacksRoom) return { ...this.#result("not-now", end.message, null), coordinated: false };
    const { exitCode, signal } = end;
    if (!end.succeeded) log.error({ action: this.#action.name, exitCode, signal }, `${this.#action.name} failed: ${end.message}`);
    return { ...this.#result(end.succeeded ? "ran" : "failed", end.message, end), coordinated: false };
  }

  async #guarded(coordinator: Coordinator, when: When): Promise<Result | null> {
    const { stop } = this.#context;
    const { journal } = this.#machine;
    for (;;) {
      stop.signal.throwIfAborted();
      const [leftover, ...others] = await findLeftovers(
        this.#action,
        perspectiveOn(coordinator, this.#context),
        coordinator,
        this.#machine,
        stop.signal,
      );
      if (leftover !== undefined) {
        // One stands for all: the others' runs are over as well, and one lock is enough to keep.
        const ending = this.#ending("recovered", `recovered with ${leftover.id}`);
        for (const other of others) await endLeftover(this.#action, other, this.#owner, ending, coordinator, this.#machine);
        if (leftover.lock !== this.#action.lock) {
          // The configuration names another lock since: what was left under the old one is owed under the new.
          const moved = this.#ending("recovered", `the action's lock is ${this.#action.lock} now`);
          if (!(await endLeftover(this.#action, leftover, this.#owner, moved, coordinator, this.#machine))) continue;
          if (this.#action.isOfExec !== true)
            journal.addAttempt(this.#action.name, leftover.made ?? this.#machine.processes.moment());
          journal.removeRun(this.#action.name, leftover.id);
          continue;
        }
        const recovered = await this.#recover(coordinator, leftover, this.#wishBehind([leftover, ...others]), when);
        if (recovered !== null) return recovered;
        continue;
      }
      if (when === "if-in-line") return null;
      const attempts = journal.attempts(this.#action.name);
      if (when === "if-left" && attempts === null) return null;
      const isFulfillable = attempts !== null && this.#mayBeFulfilled(when);
      if (isFulfillable && (await this.#restartedSince(attempts.latest))) return this.#neededNoMore();

      const draft = this.#draft();
      const line = await this.#wait(coordinator, draft);
      if (line.outcome === "left") continue;
      if (line.outcome === "timed-out") {
        const waited = { timeoutMs: this.#action.acquire.timeoutMs, waitedMs: this.#waitedMs };
        return this.#notRun("timed-out", describeTimeout(this.#action.lock, line, waited), when);
      }
      if (line.outcome === "taken-out") return this.#notRun("timed-out", line.message, when);
      // Another resume of this node may have done meanwhile what was left.
      const isDone = when === "if-left" && journal.attempts(this.#action.name) === null;
      if (isDone || (isFulfillable && (await this.#restartedSince(attempts.latest)))) {
        await coordinator.withdraw(line.joined.positions);
        return isDone ? null : this.#neededNoMore();
      }
      const result = await this.#settleAndRun(coordinator, draft, line);
      if (result !== null) return result;
    }
  }

  /** May a process that has restarted since the latest wish end this run? A wish that is made now is not fulfilled by what was before. */
  #mayBeFulfilled(when: When): boolean {
    return when !== "wished" || this.#action.alreadyRestarted === "skip";
  }

  /** When the latest wish stood that leftovers and attempts of this action are there for. */
  #wishBehind(leftovers: readonly Claim[]): BootMoment | null {
    const attempts = this.#machine.journal.attempts(this.#action.name);
    return latestWish([...leftovers.map(({ made }) => made), attempts?.latest ?? null], this.#machine.processes.moment());
  }

  /** A draft has a new id each time: what a lost session left in the queue is not taken for it. */
  #draft(): Draft {
    const { lock, key, slots, data } = this.#action;
    return { id: randomUUID(), locks: [lock], key, slots, owner: this.#owner, reason: null, data, settles: true, lease: null };
  }

  async #wait(coordinator: Coordinator, draft: Draft): Promise<LineOutcome> {
    const { progress, stop } = this.#context;
    const { clock } = this.#machine;
    const { name, acquire } = this.#action;
    const perspective = perspectiveOn(coordinator, this.#context);
    const leftMs = acquire.timeoutMs === null ? null : Math.max(0, acquire.timeoutMs - this.#waitedMs);
    const line = await waitInLine(coordinator, draft, {
      clock,
      progress,
      acquire: { ...acquire, timeoutMs: leftMs },
      perspective,
      onHolder: (claim) => {
        perspective.refuseTwin(claim);
        return isLeftover(claim, name, perspective) ? "leave" : "stay";
      },
      stop: stop.signal,
    });
    this.#waitedMs = clock.now() - this.#startedAt;
    return line;
  }

  /** `null` when the claim was lost before the action began: there is a new line to join. */
  async #settleAndRun(
    coordinator: Coordinator,
    draft: Draft,
    line: Extract<LineOutcome, { outcome: "granted" }>,
  ): Promise<Result | null> {
    const record: ClaimRecord = {
      ...withoutLocks(draft),
      made: this.#machine.processes.moment(),
      lease: null,
      expiresAt: null,
      failure: null,
    };
    const age = this.#storeAge(coordinator);
    let settled;
    try {
      settled = await coordinator.settle(draft, line.joined, record);
    } catch (error) {
      if (!(error instanceof SessionLostError) && !(error instanceof ClaimLostError)) {
        // The session may live on: nobody is to wait behind a run that is over.
        await coordinator.withdraw(line.joined.positions);
        throw error;
      }
      this.#context.progress.step(`the claim was lost before the action began, joining again: ${error.message}`, {
        lock: this.#action.lock,
      });
      return null;
    }
    const hold = new Hold(draft.id, this.#action.lock, settled, record, this.#holdOptions(coordinator));
    const older = await age.problem(draft.id, settled.fencingToken);
    if (older !== null) {
      await hold.release(this.#ending("released", "not begun: the store is older than what this node has seen"));
      throw older;
    }
    return this.#conclude(await this.#take(hold).run("released"));
  }

  /** Deals with a claim that an earlier run left. `null` when someone else was faster. */
  async #recover(coordinator: Coordinator, leftover: Claim, wishedAt: BootMoment | null, when: When): Promise<Result | null> {
    const { journal } = this.#machine;
    const { progress } = this.#context;
    const { name } = this.#action;
    const told = { action: name, lock: leftover.lock, claim: leftover.id };
    if (journal.runs(name).some((entry) => entry.claim === leftover.id && entry.phase === "succeeded")) {
      progress.step("an earlier run had succeeded and could not release its claim: releasing it", told);
      const left = await coordinator.leave(
        leftover.id,
        [leftover],
        this.#ending("recovered", "the journal says that the action had succeeded"),
      );
      if (left === "changed") return null;
      journal.removeRun(name, leftover.id);
      journal.clearAttempts(name);
      return {
        ...this.#result("already-done", "an earlier run had succeeded; its claim is released now", null),
        claim: leftover.id,
      };
    }

    progress.step(
      leftover.failure === null ? "taking up the claim of a run whose process is gone" : "taking up the claim of a run that failed",
      told,
    );
    // Until it is decided whether an old wish has been fulfilled, it stands: this process may be killed before.
    const made = this.#mayBeFulfilled(when) ? wishedAt : this.#machine.processes.moment();
    const age = this.#storeAge(coordinator);
    const adopted = await adoptLeftover(this.#action, leftover, made, this.#owner, coordinator, this.#machine);
    if (adopted === null) return null;
    const older = await age.problem(leftover.id, adopted.settled.fencingToken);
    if (older !== null) {
      // It stays the leftover that it was.
      const { owner, failure, made: madeThen, data } = leftover;
      await coordinator.update(leftover.id, adopted.settled, { ...adopted.record, owner, failure, made: madeThen, data });
      throw older;
    }
    const held = this.#take(new Hold(leftover.id, leftover.lock, adopted.settled, adopted.record, this.#holdOptions(coordinator)));
    this.#context.stop.signal.throwIfAborted();
    if (this.#mayBeFulfilled(when) && wishedAt !== null && (await this.#restartedSince(wishedAt))) {
      // Restarted is not yet healthy: where the action has a check, that decides whether the lock may go.
      const checked = await held.check();
      if (checked.succeeded) {
        const why = "the process had restarted since the run that was left";
        return this.#conclude(await held.letGo("recovered", "already-restarted", why, null));
      }
      progress.step(`the process has restarted but is not healthy, running the action again: ${checked.message}`, told);
    }
    return this.#conclude(await held.run("recovered"));
  }

  /** Earlier attempts timed out, and the process has been restarted since by someone else. */
  #neededNoMore(): Result {
    this.#machine.journal.clearAttempts(this.#action.name);
    return this.#result("already-restarted", "the process has restarted since the latest attempt", null);
  }

  /** The action was not begun: the next run, or a resume, tries again. */
  #notRun(outcome: "timed-out" | "unreachable", message: string, when: When): Result {
    const { journal, processes, clock } = this.#machine;
    this.#waitedMs = clock.now() - this.#startedAt;
    if (this.#action.isOfExec === true) return this.#result(outcome, message, null);
    const pending = journal.attempts(this.#action.name);
    // A resume has no wish of its own: where something is pending, it has tried once more for what was wished then.
    const wish = when === "wished" ? processes.moment() : (pending?.latest ?? null);
    const count = wish === null ? 1 : journal.addAttempt(this.#action.name, wish).count;
    const often = count === 1 ? "" : `; this was attempt ${count}`;
    if (outcome === "timed-out") {
      const { name, lock } = this.#action;
      this.#context.log.warn({ action: name, lock }, `${name} was not run, timed out waiting: ${message}${often}`);
    }
    return this.#result(outcome, `${message}${often}`, null);
  }

  #restartedSince(moment: BootMoment): Promise<boolean> {
    return restartedSince(this.#action, moment, this.#machine.processes);
  }

  #storeAge(coordinator: Coordinator): StoreAge {
    const { log, stop } = this.#context;
    return new StoreAge(coordinator, { sightings: this.#machine.sightings, log, stop: stop.signal });
  }

  #holdOptions(coordinator: Coordinator): { coordinator: Coordinator; clock: Machine["clock"]; releaseTimeoutMs: number } {
    return { coordinator, clock: this.#machine.clock, releaseTimeoutMs: this.#context.releaseTimeoutMs };
  }

  #ending(event: EndEvent, reason: string | null): Ending {
    return { event, by: this.#context.principal, reason };
  }

  #take(hold: Hold): HeldRun {
    this.#hold = hold;
    return new HeldRun(this.#action, this.#context, hold);
  }

  #conclude({ outcome, message, end }: Conclusion): Result {
    return this.#result(outcome, message, end);
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

function withoutLocks({
  owner,
  key,
  slots,
  reason,
  data,
}: Draft): Pick<ClaimRecord, "owner" | "key" | "slots" | "reason" | "data"> {
  return { owner, key, slots, reason, data };
}
