// What a guarded run does with its claim in hand: the command, the check, and the end of the claim. Each function is a state
// of run-states.ts, and returns the one that follows.
import { environmentOf } from "../line/environment.js";
import { type ActionEnd, afterCheck, failureOf, type Launch, runCheck, runCommand } from "./execution.js";
import { tell } from "./telling.js";
import { type At, endingBy, type Held, over, type Run, type State } from "./run-states.js";

/** Settled: the claim is durable, and nothing has begun. No other node can begin now, whatever becomes of this process. */
export async function beginOrGiveBack(run: Run, { held }: At<"settled">): Promise<State> {
  const { signal } = run.context.stop;
  if (signal.aborted) {
    await giveBack(run, held);
    throw signal.reason;
  }
  return { at: "command", held };
}

/** Command: the journal learns of the command's group, and only then the command begins. */
export async function executeCommand(run: Run, { held }: At<"command">): Promise<State> {
  const { action, context, report, notes } = run;
  const { machine, stop } = context;
  let mayHaveBegun = false;
  const launch: Launch = {
    env: environmentUnder(run, held),
    onGroup(leader) {
      notes.command(held.claim, leader);
      mayHaveBegun = true;
    },
  };
  let ran: ActionEnd;
  try {
    ran = await runCommand(action, context, launch);
  } catch (error) {
    if (!mayHaveBegun) await giveBack(run, held);
    throw error;
  }
  if (!ran.began && stop.signal.aborted) {
    // Called off behind its latch: the journal has its group, which has done nothing.
    await giveBack(run, held);
    throw stop.signal.reason;
  }
  if (ran.lacksRoom) {
    await giveBack(run, held);
    if (action.isOfExec !== true) machine.journal.addAttempt(action.name, machine.processes.moment());
    return over(report.result("not-now", ran.message, null));
  }
  return ran.succeeded ? { at: "verify", held, ran } : { at: "failed", held, end: ran };
}

/** Verify: the check decides whether the next node may go. */
export async function verifyAction(run: Run, { held, ran }: At<"verify">): Promise<State> {
  const end = afterCheck(ran, await runCheck(run.action, run.context, launchOfCheck(run, held)));
  return { at: end.succeeded ? "succeeded" : "failed", held, end };
}

/** Succeeded: the journal notes it, in case the store does not answer when the claim leaves. */
export async function noteSuccess({ notes }: Run, { held, end }: At<"succeeded">): Promise<State> {
  await notes.succeeded(held.claim);
  return { at: "leaving", held, event: held.endsAs, outcome: "ran", message: "", end };
}

/** Failed: the claim stays and is toxic from now on, unless the action says to release it. */
export async function keepOrLeave({ action, context, owner, report, notes }: Run, { held, end }: At<"failed">): Promise<State> {
  const { log, machine, principal } = context;
  const { exitCode, signal, message } = end;
  log.error({ action: action.name, exitCode, signal }, `${action.name} failed: ${message}`);
  tell(context, "failed", { lock: held.claim.lock, claim: held.claim.id, owner, failure: failureOf(end) });
  if (action.onFailure === "release") return { at: "leaving", held, event: "failed", outcome: "failed", message, end };
  const kept = await held.claim.fail(failureOf(end), machine.processes.moment(), principal);
  await notes.forget(held.claim);
  const about = kept.outcome === "done" ? `the lock ${held.claim.lock} is kept` : kept.why;
  return over(report.result("failed", `${message}; ${about}`, end));
}

/** Leaving: the claim ends. */
export async function letGo(run: Run, { held, event, outcome, message, end }: At<"leaving">): Promise<State> {
  const { action, context, owner, report, nodeReport, notes } = run;
  const failure = outcome === "failed" && end !== null ? failureOf(end) : null;
  const told = { outcome, message, ranMs: end === null ? null : Math.round(end.ranMs) };
  const left = await held.claim.release(endingBy(run, event, message === "" ? null : message), failure, (leave, signal) =>
    nodeReport.leaveWith(told, leave, signal),
  );
  if (left.outcome === "unreachable" && outcome !== "failed") {
    // The journal remembers the success: the next run, or a resume, releases.
    return over(report.result("unreachable", `${action.name} is done but the lock could not be released: ${left.why}`, end));
  }
  await notes.forget(held.claim);
  if (left.outcome === "done") {
    if (event === "recovered")
      tell(context, event, { lock: held.claim.lock, claim: held.claim.id, owner, reason: message || null });
    return over(report.result(outcome, message, end));
  }
  const about = `${message === "" ? "" : `${message}; `}${left.why}`;
  context.progress.step(about, { claim: held.claim.id });
  return over(report.result(outcome, about, end));
}

/** How the check runs under a claim. The action has run already: a journal that cannot be written does not keep it from its check. */
export function launchOfCheck(run: Run, held: Held): Launch {
  return { env: environmentUnder(run, held), onGroup: (leader) => run.notes.check(held.claim, leader) };
}

function environmentUnder({ action, context }: Run, { claim }: Held): Record<string, string> {
  return environmentOf({ action: action.name, lock: claim.lock, node: context.node }, claim);
}

/** Ends the run's own claim under which nothing has begun. A leftover stays one. */
async function giveBack(run: Run, { claim, endsAs }: Held): Promise<void> {
  if (endsAs !== "released") return;
  await claim.release(endingBy(run, "released", "the action was not begun"));
  await run.notes.forgetRun(claim);
}
