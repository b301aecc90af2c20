// What a guarded run does with its claim in hand: the command, the check, and the end of the claim. Each function is a state
// of run-states.ts, and returns the one that follows. What goes on around the command is hook-states.ts's.
import { problemWithoutCommand } from "./action.js";
import { callerGone, openForCaller } from "./caller.js";
import { type ActionEnd, afterCheck, failureOf, type Launch, NOTHING_RUN, runCheck, runCommand } from "./execution.js";
import { resultOf } from "./gating.js";
import { environmentUnder, launchOfCheck } from "./launches.js";
import { announceReboot } from "./reboot-states.js";
import { type At, endingBy, over, type Run, type State } from "./run-states.js";
import { isDrained } from "./stages.js";
import { tell } from "./telling.js";

/** Settled: the claim is durable, and nothing has begun. No other node can begin now, whatever becomes of this process. */
export async function beginOrGiveBack(run: Run, { held }: At<"settled">): Promise<State> {
  const { action, context, caller } = run;
  const { signal } = context.stop;
  const thrown: unknown = signal.aborted ? signal.reason : caller === null ? null : callerGone(run, caller);
  if (thrown !== null) return { at: "given-back", held, why: { thrown } };
  const noCommand = caller === null ? problemWithoutCommand(action) : null;
  if (noCommand !== null) return { at: "given-back", held, why: { notNow: { ...NOTHING_RUN, message: noCommand } } };
  return { at: action.before === null ? "command" : "before", held };
}

/** Command: the journal learns of the command's group, and only then the command begins. */
export async function executeCommand(run: Run, { held }: At<"command">): Promise<State> {
  const { action, context, notes, report } = run;
  const { stop } = context;
  const isReboot = action.mode === "reboot";
  const givingBack = (why: At<"given-back">["why"]): State => ({
    at: "undo",
    held,
    next: { at: "given-back", held, why },
    isOwed: isDrained(held) && !held.staysDrained,
  });
  if (run.caller !== null) {
    const unopened = await openForCaller(run, held, run.caller);
    return unopened === null ? over(report.result("begun", "", null)) : givingBack({ thrown: unopened });
  }
  // Confirmed in the store, so that no later run asks again.
  const problem = isReboot ? await announceReboot(run, held) : null;
  if (problem !== null) return givingBack({ thrown: problem });
  let mayHaveBegun = false;
  const launch: Launch = {
    env: environmentUnder(run, held),
    onGroup(leader) {
      notes.command(held.claim, leader, isReboot ? "rebooting" : "running");
      mayHaveBegun = true;
    },
  };
  let ran: ActionEnd;
  try {
    ran = await runCommand(action, context, launch);
  } catch (error) {
    if (!mayHaveBegun) return givingBack({ thrown: error });
    throw error;
  }
  // Called off behind its latch: the journal has its group, which has done nothing.
  if (!ran.began && stop.signal.aborted) return givingBack({ thrown: stop.signal.reason });
  if (ran.lacksRoom || ran.saysNotNow) return givingBack({ notNow: ran });
  if (isReboot) return { at: "rebooting", held, ran };
  return ran.succeeded ? { at: "verify", held, ran } : { at: "failed", held, end: ran, isAfterOver: false };
}

/** Verify: the check decides whether the next node may go. */
export async function verifyAction(run: Run, { held, ran, how }: At<"verify">): Promise<State> {
  const end = afterCheck(ran, await runCheck(run.action, run.context, launchOfCheck(run, held)));
  if (!end.succeeded) return { at: "failed", held, end, isAfterOver: false };
  return { at: "after", held, done: { event: held.endsAs, message: "", ...how, outcome: "ran", end } };
}

/** Succeeded: the journal notes it, in case the store does not answer when the claim leaves. */
export async function noteSuccess({ notes }: Run, { held, done }: At<"succeeded">): Promise<State> {
  await notes.phase(held.claim, "succeeded", null);
  return { ...done, at: "leaving", held };
}

/** Failed: the claim stays and is toxic from now on, unless the action says to release it. */
export async function keepOrLeave(run: Run, state: At<"failed">): Promise<State> {
  const { action, context, owner, report, notes } = run;
  const { held, end } = state;
  if (action.after?.when === "always" && !state.isAfterOver) return { at: "undo", held, next: state, isOwed: true };
  const { log, machine, principal } = context;
  const { exitCode, signal, message } = end;
  log.error({ action: action.name, exitCode, signal }, `${action.name} failed: ${message}`);
  tell(context, "failed", { lock: held.claim.lock, claim: held.claim.id, owner, failure: failureOf(end) });
  if (action.onFailure === "release") return { at: "leaving", held, event: "failed", outcome: "failed", message, end };
  const kept = await held.claim.fail(failureOf(end), machine.processes.moment(), principal);
  await notes.forgetAll(held.claim);
  const about = kept.outcome === "done" ? `the lock ${held.claim.lock} is kept` : kept.why;
  return over(report.result("failed", `${message}; ${about}`, end));
}

/** Given back: the action is not done, and nothing has failed. The run's own claim ends, and a leftover is one again. */
export async function giveBack(run: Run, { held, why }: At<"given-back">): Promise<State> {
  const { context, notes, report } = run;
  const { claim, leftover } = held;
  // While the claim still stands: a process that is killed here leaves one of them at least.
  const result =
    "notNow" in why ? report.notRun("not-now", why.notNow.message) : "shut" in why ? resultOf(why.shut, run, report) : null;
  if (leftover === null) {
    const reason = "notNow" in why ? `not now: ${why.notNow.message}` : "the action was not begun";
    await claim.release(endingBy(run, "released", reason));
    await notes.forgetRun(claim);
  } else if (result !== null || claim.stage?.name === "rebooting") {
    // Where something was thrown it stays as it is, and is stale; but it must not say that the machine was asked to reboot.
    const { stage } = leftover;
    const returned = await claim.returnAs(
      stage === undefined ? leftover : { ...leftover, stage: { ...stage, drained: isDrained(held) } },
    );
    // What is no longer there is nobody's to finish.
    if (returned.outcome === "lost") await notes.forgetRun(claim);
    if (returned.outcome !== "done")
      context.log.warn(
        { claim: claim.id, lock: claim.lock },
        `the claim does not say again what it was left with: ${returned.why}`,
      );
  }
  if ("thrown" in why) throw why.thrown;
  return over(result);
}

/** Leaving: the claim ends. */
export async function letGo(run: Run, { held, event, outcome, message, end, goesOn }: At<"leaving">): Promise<State> {
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
    if (goesOn === true) {
      report.claim = null;
      return { at: "looking" };
    }
    return over(report.result(outcome, message, end));
  }
  const about = `${message === "" ? "" : `${message}; `}${left.why}`;
  context.progress.step(about, { claim: held.claim.id });
  return over(report.result(outcome, about, end));
}
