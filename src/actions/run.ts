// A guarded run from its first look to its result: goes from state to state until the run is over. The states and the arrows
// between them are drawn in run-states.ts.
import { HoldlineError, messageOf, UnreachableError } from "../locks/errors.js";
import { type GuardedAction, problemWithoutCommand } from "./action.js";
import { takeUpOpen } from "./caller.js";
import { judgeAdopted, lookForLeftovers, settleClaim, takeUpLeftover, waitForTurn } from "./claiming-states.js";
import { type GuardContext, perspectiveOn } from "./context.js";
import { NO_ORDERS, type Orders } from "./gating.js";
import { beginOrGiveBack, executeCommand, giveBack, keepOrLeave, letGo, noteSuccess, verifyAction } from "./holding-states.js";
import { drainNode, soakUnderLock, undoDrain, undrainNode } from "./hook-states.js";
import { awaitReboot } from "./reboot-states.js";
import type { Result } from "./result.js";
import { createRunNotes } from "./run-notes.js";
import { NodeReport } from "./node-report.js";
import { RunReport, type Wish } from "./run-report.js";
import type { At, Caller, Run, State } from "./run-states.js";

/**
 * Runs an action under its lock, after dealing with what an earlier run of it left on this node.
 * @throws InterruptedError when asked to stop before the action began; nothing is left behind
 */
export async function runGuarded(action: GuardedAction, context: GuardContext, orders: Orders = NO_ORDERS): Promise<Result> {
  const problem = problemWithoutCommand(action);
  if (problem !== null) throw new HoldlineError("configuration", problem);
  return (await guard(action, context, "wished", orders)) as Result;
}

/** Does all that comes before an action's command, and leaves its work to a caller. */
export async function beginGuarded(action: GuardedAction, context: GuardContext, orders: Orders, caller: Caller): Promise<Result> {
  return (await guard(action, context, "wished", orders, caller)) as Result;
}

/**
 * Ends what `begin` has begun: checks it, runs `after`, soaks, and lets go.
 * @param failed why the work has failed, in words: then the lock is kept as after any failure; `null` where it is done
 * @throws HoldlineError `nothing-there` where nothing is open
 */
export async function endGuarded(action: GuardedAction, context: GuardContext, failed: string | null): Promise<Result> {
  // It makes no wish, and journals no attempt.
  const report = new RunReport(action, context, "if-in-line");
  try {
    const run = await openRun(action, context, { wish: "if-in-line", orders: NO_ORDERS, report, caller: null });
    return (await drive(run, await takeUpOpen(run, failed))) as Result;
  } catch (error) {
    if (error instanceof UnreachableError) return report.result("unreachable", messageOf(error), null);
    throw error;
  }
}

/** Finishes what earlier runs of an action left in a line; `null` where nothing stands there. */
export function recoverGuarded(action: GuardedAction, context: GuardContext): Promise<Result | null> {
  return guard(action, context, "if-in-line", NO_ORDERS);
}

/** Finishes what earlier runs of an action left on this node, in a line or in the journal; `null` where nothing was left. */
export function resumeGuarded(action: GuardedAction, context: GuardContext): Promise<Result | null> {
  return guard(action, context, "if-left", NO_ORDERS);
}

async function guard(
  action: GuardedAction,
  context: GuardContext,
  wish: Wish,
  orders: Orders,
  caller: Caller | null = null,
): Promise<Result | null> {
  const report = new RunReport(action, context, wish);
  try {
    return await drive(await openRun(action, context, { wish, orders, report, caller }), { at: "looking" });
  } catch (error) {
    // Before the action begins. From then on each state deals with a store that does not answer.
    if (error instanceof UnreachableError) return report.notRun("unreachable", messageOf(error));
    throw error;
  }
}

async function drive(run: Run, from: State): Promise<Result | null> {
  let state = from;
  while (state.at !== "over") state = await next(run, state);
  if (state.result !== null) await run.nodeReport.note(state.result);
  return state.result;
}

async function openRun(
  action: GuardedAction,
  context: GuardContext,
  { wish, orders, report, caller }: Pick<Run, "wish" | "orders" | "report" | "caller">,
): Promise<Run> {
  const { node, group, principal, machine } = context;
  const coordinator = await context.coordinator(action.lock);
  return {
    action,
    context,
    wish,
    orders,
    isDry: false,
    mayBeFulfilled: wish !== "wished" || action.alreadyRestarted === "skip",
    coordinator,
    perspective: perspectiveOn(coordinator, context),
    owner: { node, group, principal, action: action.name, process: machine.processes.self, machine: machine.id },
    report,
    nodeReport: new NodeReport(action, context, coordinator, wish === "wished"),
    notes: createRunNotes(action.name, context),
    caller,
  };
}

function next(run: Run, state: Exclude<State, At<"over">>): Promise<State> {
  switch (state.at) {
    case "looking":
      return lookForLeftovers(run);
    case "leftover":
      return takeUpLeftover(run, state);
    case "adopted":
      return judgeAdopted(run, state);
    case "in-line":
      return waitForTurn(run, state);
    case "granted":
      return settleClaim(run, state);
    case "settled":
      return beginOrGiveBack(run, state);
    case "before":
      return drainNode(run, state);
    case "command":
      return executeCommand(run, state);
    case "rebooting":
      return awaitReboot(run, state);
    case "verify":
      return verifyAction(run, state);
    case "after":
      return undrainNode(run, state);
    case "soak":
      return soakUnderLock(run, state);
    case "undo":
      return undoDrain(run, state);
    case "given-back":
      return giveBack(run, state);
    case "succeeded":
      return noteSuccess(run, state);
    case "failed":
      return keepOrLeave(run, state);
    case "leaving":
      return letGo(run, state);
  }
}
