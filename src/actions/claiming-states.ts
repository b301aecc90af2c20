// How a guarded run comes to its claim: it takes up what earlier runs have left, or waits for its turn and settles. Each
// function is a state of run-states.ts, and returns the one that follows.
import { randomUUID } from "node:crypto";
import type { BootMoment, Claim, ClaimRecord } from "../locks/claim.js";
import type { Draft } from "../locks/coordinator.js";
import { ClaimLostError, SessionLostError } from "../locks/errors.js";
import { waitInLine } from "../line/waiting.js";
import { describeTimeout } from "../line/words.js";
import { problemWithoutCommand } from "./action.js";
import { waitOptions } from "./context.js";
import { DurableClaim, stageAt, type Taken } from "./durable-claim.js";
import { runCheck } from "./execution.js";
import { firstShut, hasReadFiles, resultOf } from "./gating.js";
import { launchOfCheck } from "./launches.js";
import { slotsNow } from "./percent.js";
import { judgeReboot, leftToItself, overdue, verifyReboot } from "./reboot-states.js";
import { adoptLeftover, endLeftover, findLeftovers, latestWish, restartedSince, returnLeftover } from "./recovery.js";
import { hasLaterWish } from "./run-notes.js";
import { type At, endingBy, type Held, over, type Run, type State } from "./run-states.js";
import { type Come, howFar, stageOfAdopted } from "./stages.js";
import { describeFailed, firstShutUnder, holdersInTheWay, settleBehindGates } from "./shut-gates.js";
import { StoreAge } from "./store-age.js";
import { tell } from "./telling.js";

const LOOKING = { at: "looking" } as const;

/** Looking: what have earlier runs left? Claims in a line, attempts in the journal, a process that has restarted since. */
export async function lookForLeftovers(run: Run): Promise<State> {
  const { action, wish, mayBeFulfilled } = run;
  const { stop, machine } = run.context;
  stop.signal.throwIfAborted();
  const { leftovers, awaited } = await findLeftovers(run, stop.signal);
  const [leftover, ...others] = leftovers;
  if (leftover !== undefined) {
    // One stands for all: the others' runs are over as well, and one lock is enough to keep.
    const ending = endingBy(run, "recovered", `recovered with ${leftover.id}`);
    for (const other of others) await endLeftover(run, other, ending);
    return { at: "leftover", leftover, wishedAt: wishBehind(run, [leftover, ...others]) };
  }
  if (awaited !== undefined) return over(leftToItself(run, awaited));
  if (wish === "if-in-line") return over(null);
  const attempts = machine.journal.attempts(action.name);
  if (wish === "if-left" && attempts === null) return over(null);
  const wishedAt = mayBeFulfilled ? (attempts?.latest ?? null) : null;
  if (await hasRestartedSince(run, wishedAt)) return fulfilled(run);
  const shut = await firstShut(run);
  return shut === null ? { at: "in-line", wishedAt } : over(resultOf(shut, run, run.report));
}

/** Leftover: the run takes up the claim in place; or it ends the claim, if its run had succeeded or its lock is no longer the action's. */
export async function takeUpLeftover(run: Run, { leftover, wishedAt }: At<"leftover">): Promise<State> {
  const { action, coordinator, report, mayBeFulfilled } = run;
  const { machine, progress } = run.context;
  const { journal } = machine;
  const details = { action: action.name, lock: leftover.lock, claim: leftover.id };
  if (journal.runs(action.name).some((entry) => entry.claim === leftover.id && entry.phase === "succeeded")) {
    progress.step("an earlier run had succeeded and could not release its claim: releasing it", details);
    const ending = endingBy(run, "recovered", "the journal says that the action had succeeded");
    if ((await coordinator.leave(leftover.id, [leftover], ending)) === "changed") return LOOKING;
    journal.removeRun(action.name, leftover.id);
    if (!hasLaterWish(action.name, leftover.made, machine)) journal.clearAttempts(action.name);
    const message = "an earlier run had succeeded; its claim is released now";
    tell(run.context, "recovered", { lock: leftover.lock, claim: leftover.id, owner: leftover.owner, reason: message });
    return over({ ...report.result("already-done", message, null), claim: leftover.id });
  }
  const reboot = await judgeReboot(run, leftover);
  if (reboot === "awaited" || reboot === "failed") return over(leftToItself(run, leftover));
  const come = howFar(leftover, journal.runs(action.name));
  // A wish that is made now has the action run, whatever the check says of an earlier run.
  const finishes = come.isVerified && run.wish !== "wished";
  const isOfOldWish = finishes || reboot !== "not-asked";
  if (leftover.lock !== action.lock && !isOfOldWish) {
    // The configuration names another lock since: what was left under the old one is owed under the new. Only where nothing but the
    // end is left, that is done under the old one.
    const moved = endingBy(run, "recovered", `the action's lock is ${action.lock} now`);
    if (!(await endLeftover(run, leftover, moved))) return LOOKING;
    const now = machine.processes.moment();
    // No restart before now puts back a node that is drained.
    if (action.isOfExec !== true) journal.addAttempt(action.name, come.owesAfter ? now : (leftover.made ?? now));
    journal.removeRun(action.name, leftover.id);
    return LOOKING;
  }
  const problem = run.caller === null && !isOfOldWish ? problemWithoutCommand(action) : null;
  if (problem !== null && !(mayBeFulfilled && (await hasRestartedSince(run, wishedAt)))) {
    // It stays as it is for who can do its work.
    return over({ ...report.notRun("not-now", problem), claim: leftover.id });
  }
  const whose = leftover.failure === null ? "a run whose process is gone" : "a run that failed";
  progress.step(`taking up the claim of ${whose}`, details);
  const age = storeAge(run);
  // An old wish stands until this run knows whether it has been fulfilled: somebody may kill this process before.
  const made = isOfOldWish ? leftover.made : mayBeFulfilled ? wishedAt : machine.processes.moment();
  const adopted = await adoptLeftover(run, leftover, made, stageOfAdopted(leftover, come, finishes, reboot));
  if (adopted === null) return LOOKING;
  run.nodeReport.prepare(null);
  const older = await age.problem(leftover.id, adopted.settled.fencingToken);
  if (older !== null) {
    await returnLeftover(run, leftover, adopted);
    throw older;
  }
  if (isOfOldWish && reboot !== "happened") tellStale(run, leftover);
  const held = takeInHand(run, adopted, { leftover, staysDrained: come.owesAfter && come.hasBegun });
  if (reboot === "happened") return verifyReboot(run, held, leftover);
  if (reboot === "overdue") return overdue(held, leftover);
  return finishes ? finishVerified(run, held, come) : { at: "adopted", held, wishedAt };
}

/** Adopted: has the process restarted since the wish that was left? Then the wish is fulfilled, if the check agrees. */
export async function judgeAdopted(run: Run, { held, wishedAt }: At<"adopted">): Promise<State> {
  const { action, context, mayBeFulfilled } = run;
  context.stop.signal.throwIfAborted();
  if (mayBeFulfilled && (await hasRestartedSince(run, wishedAt))) {
    // A process that has restarted may not be healthy. Where the action has a check, the check decides.
    const checked = await runCheck(action, context, launchOfCheck(run, held));
    if (checked.succeeded) {
      const what = action.mode === "reboot" ? "machine had rebooted" : "process had restarted";
      const message = `the ${what} since the run that was left`;
      if (held.leftover !== null) tellStale(run, held.leftover);
      return { at: "after", held, done: { event: "recovered", outcome: "already-restarted", message, end: null } };
    }
    const { id, lock } = held.claim;
    context.progress.step(`the process has restarted but is not healthy, running the action again: ${checked.message}`, {
      action: action.name,
      lock,
      claim: id,
    });
  }
  const shut = await firstShutUnder(run, held);
  // What is given back is as stale as it was, and is taken up again and again.
  if (held.leftover !== null && shut?.at !== "given-back") tellStale(run, held.leftover);
  return shut ?? { at: "settled", held };
}

function tellStale({ context }: Run, { lock, id, owner, failure }: Claim): void {
  if (failure === null) tell(context, "stale", { lock, claim: id, owner });
}

/** In line: the run waits for its turn. */
export async function waitForTurn(run: Run, { wishedAt }: At<"in-line">): Promise<State> {
  const { action, context, coordinator, perspective, report } = run;
  const { lock, key, data, acquire } = action;
  // A new id each time: nothing that a lost session has left in the queue passes for this claim.
  const id = randomUUID();
  const slots = await slotsNow(run);
  const shown = { reason: run.orders.reason, data };
  const draft: Draft = { id, locks: [lock], key, ...slots, owner: run.owner, ...shown, settles: true, lease: null };
  const leftMs = acquire.timeoutMs === null ? null : Math.max(0, acquire.timeoutMs - report.waitedMs);
  const inTheWay = holdersInTheWay(run);
  const waiting = waitOptions(context, perspective, { ...acquire, timeoutMs: leftMs }, inTheWay.isOne);
  const line = await waitInLine(coordinator, draft, waiting);
  report.endWait();
  switch (line.outcome) {
    case "granted":
      return { at: "granted", draft, joined: line.joined, wishedAt };
    case "left": {
      const failed = inTheWay.failed();
      return failed === null ? LOOKING : over(report.notRun("blocked", describeFailed(failed)));
    }
    case "timed-out": {
      const waited = { timeoutMs: acquire.timeoutMs, waitedMs: report.waitedMs };
      return over(report.notRun("timed-out", describeTimeout(lock, line, waited)));
    }
    case "taken-out":
      return over(report.notRun("timed-out", line.message));
  }
}

/** Granted: the run looks once more at what it looked at before the wait, and settles. */
export async function settleClaim(run: Run, { draft, joined, wishedAt }: At<"granted">): Promise<State> {
  const { action, coordinator, wish } = run;
  const { machine, progress } = run.context;
  const { lock } = action;
  // Another resume of this node may have done meanwhile what was left.
  const attempts = machine.journal.attempts(action.name);
  const isDone = wish === "if-left" && attempts === null;
  // What somebody has wished while this run waited is fulfilled only by a restart after that.
  const latest = wishedAt === null ? null : latestWish([wishedAt, attempts?.latest ?? null], machine.processes.moment());
  if (isDone || (await hasRestartedSince(run, latest))) {
    await coordinator.withdraw(joined.positions);
    return isDone ? over(null) : fulfilled(run);
  }
  const age = storeAge(run);
  let taken;
  try {
    taken = await settleBehindGates(run, { draft, joined }, () => recordToSettle(run, draft));
  } catch (error) {
    if (!(error instanceof SessionLostError) && !(error instanceof ClaimLostError)) {
      // The session may live on, and nobody should wait behind a run that is over.
      await coordinator.withdraw(joined.positions);
      throw error;
    }
    progress.step(`the claim was lost before the action began, joining again: ${error.message}`, { lock });
    return LOOKING;
  }
  if ("shut" in taken) {
    await coordinator.withdraw(joined.positions);
    return over(resultOf(taken.shut, run, run.report));
  }
  const { settled, record, askedAt } = taken;
  const since = { storeMs: settled.since, askedAt };
  const held = takeInHand(run, { id: draft.id, lock, settled, record, since }, { leftover: null, staysDrained: false });
  run.nodeReport.prepare(settled.since);
  const older = await age.problem(draft.id, settled.fencingToken);
  if (older !== null) {
    await held.claim.release(endingBy(run, "released", "not begun: the store is older than what this node has seen"));
    throw older;
  }
  return { at: "settled", held };
}

/** The check of the run that was left had passed: what it still owed is done now, and the command does not run again. */
async function finishVerified({ action }: Run, held: Held, { owesAfter }: Come): Promise<State> {
  const done = { event: "recovered", outcome: "already-done", message: "an earlier run had succeeded", end: null } as const;
  if (owesAfter) return { at: "after", held, done };
  const until = held.claim.stage?.until ?? null;
  const leftMs = until === null ? action.soakMs : until - (await held.claim.earliestStoreMs());
  return { at: "soak", held, done, leftMs: Math.min(Math.max(0, leftMs), action.soakMs) };
}

function takeInHand({ coordinator, context, report }: Run, taken: Taken, whose: Pick<Held, "leftover" | "staysDrained">): Held {
  const { machine, releaseTimeoutMs } = context;
  const claim = new DurableClaim(coordinator, taken, { clock: machine.clock, releaseTimeoutMs });
  report.claim = claim;
  return { ...whose, claim, endsAs: whose.leftover === null ? "released" : "recovered" };
}

/** Earlier attempts timed out, and somebody else has restarted the process since. */
function fulfilled({ action, context, report }: Run): State {
  context.machine.journal.clearAttempts(action.name);
  const what = action.mode === "reboot" ? "machine has rebooted" : "process has restarted";
  return over(report.result("already-restarted", `the ${what} since the latest attempt`, null));
}

/** The latest of the wishes behind an action's leftovers and attempts. */
function wishBehind({ action, context }: Run, leftovers: readonly Claim[]): BootMoment | null {
  const { journal, processes } = context.machine;
  const attempts = journal.attempts(action.name);
  return latestWish([...leftovers.map(({ made }) => made), attempts?.latest ?? null], processes.moment());
}

/** A process that is older than a file that it should have read has not fulfilled anything. */
async function hasRestartedSince(run: Run, moment: BootMoment | null): Promise<boolean> {
  return (await restartedSince(run.action, moment, run.context.machine.processes)) && (await hasReadFiles(run));
}

/** Before the claim becomes durable: what this node has seen by then is older than the claim. */
function storeAge({ coordinator, context }: Run): StoreAge {
  const { log, stop, machine } = context;
  return new StoreAge(coordinator, { sightings: machine.sightings, log, stop: stop.signal });
}

/** The record with which a claim settles. Where there is a hook `before`, it says at once that `after` is owed. */
async function recordToSettle({ action, context, coordinator }: Run, draft: Draft): Promise<ClaimRecord> {
  const record = { ...recordOf(draft), made: context.machine.processes.moment() };
  if (action.before === null) return record;
  const { ms } = await coordinator.sync(context.stop.signal);
  return { ...record, stage: stageAt(ms, { name: "draining", drained: true, forMs: null }) };
}

function recordOf({ owner, key, slots, percent, reason, data }: Draft): Omit<ClaimRecord, "made"> {
  const record = { owner, key, slots, reason, data, lease: null, expiresAt: null, failure: null };
  return percent === undefined ? record : { ...record, percent };
}
