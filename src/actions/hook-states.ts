// What a guarded run does around its command with its claim in hand: the hooks `before` and `after`, and the soak. Each function is a
// state of run-states.ts, and returns the one that follows.
import { afterCheck, type ActionEnd, type Launch, type OutcomeForAfter, runAfter, runBefore } from "./execution.js";
import { environmentUnder } from "./launches.js";
import type { RunPhase } from "./machine.js";
import type { At, Held, Run, State } from "./run-states.js";
import { soak } from "./soaking.js";
import { isDrained, takenAway, tryNoteStage } from "./stages.js";
import { InterruptedError } from "./stop.js";

/** What was noted last before each of these two uses of `after`: the journal tells the next run by it what was done. */
type PhaseOfAfter = Extract<RunPhase, "undoing" | "undraining">;

/** Before: the hook drains the node. From here on `after` is owed. */
export async function drainNode(run: Run, { held }: At<"before">): Promise<State> {
  const { action, context, notes } = run;
  const { stop } = context;
  let mayHaveBegun = false;
  const launch: Launch = {
    env: environmentUnder(run, held),
    onGroup(leader) {
      notes.before(held.claim, leader);
      mayHaveBegun = true;
    },
  };
  // A claim that this run has settled says so since then.
  if (held.endsAs === "recovered") await tryNoteStage(run, held, { name: "draining", forMs: null, drained: true });
  const undoing = (next: At<"undo">["next"], hasBegun: boolean): State => ({
    at: "undo",
    held,
    next,
    isOwed: hasBegun && !held.staysDrained,
  });
  let end: ActionEnd;
  try {
    end = await runBefore(action, context, launch);
  } catch (error) {
    return undoing({ at: "given-back", held, why: { thrown: error } }, mayHaveBegun);
  }
  if (stop.signal.aborted) return undoing({ at: "given-back", held, why: { thrown: stop.signal.reason } }, end.began);
  if (end.lacksRoom || end.saysNotNow) return undoing({ at: "given-back", held, why: { notNow: end } }, end.began);
  if (!end.succeeded) return undoing({ at: "failed", held, end, isAfterOver: false }, end.began);
  await tryNoteStage(run, held, { name: "running", forMs: null, drained: true });
  // Draining takes its time. Who is told meanwhile that the lock may be another's begins nothing.
  if (held.claim.isLost) return undoing({ at: "given-back", held, why: { notNow: takenAway(end) } }, end.began);
  return { at: "command", held };
}

/** Undo: the action is not done, or has failed, and the hook `after` undoes what `before` did, where that is owed. */
export async function undoDrain(run: Run, { held, next, isOwed }: At<"undo">): Promise<State> {
  const notDrained = { name: "running", forMs: null, drained: false } as const;
  if (run.action.after === null || !isOwed) {
    if (isDrained(held) && !held.staysDrained && next.at !== "given-back") await tryNoteStage(run, held, notDrained);
    return next;
  }
  const undone = await runHookAfter(run, held, next.at === "failed" ? "failed" : "not-now", "undoing");
  if (undone.succeeded) {
    if (isDrained(held)) await tryNoteStage(run, held, notDrained);
    return next.at === "failed" ? { ...next, isAfterOver: true } : next;
  }
  // The node may still be drained.
  if (next.at !== "failed") return { at: "failed", held, end: undone, isAfterOver: true };
  return { ...next, end: { ...next.end, message: `${next.end.message}; ${undone.message}` }, isAfterOver: true };
}

/** After: the check has passed, and the hook lets the node's work come back. */
export async function undrainNode(run: Run, state: At<"after">): Promise<State> {
  const { held, done } = state;
  if (run.action.after === null) return { ...state, at: "soak", leftMs: run.action.soakMs };
  const end = await runHookAfter(run, held, "ran", "undraining");
  if (!end.succeeded) return { at: "failed", held, end: afterCheck(done.end, end), isAfterOver: true };
  return { ...state, at: "soak", leftMs: run.action.soakMs };
}

/** Soak: the lock stays in hand for a while, and the check goes on. */
export async function soakUnderLock(run: Run, { held, done, leftMs }: At<"soak">): Promise<State> {
  const { action, context, notes } = run;
  if (action.soakMs > 0) {
    await notes.phase(held.claim, "soaking", null);
    await tryNoteStage(run, held, { name: "soaking", forMs: leftMs, drained: false });
    const launch: Launch = {
      env: environmentUnder(run, held),
      onGroup: (leader) => notes.phase(held.claim, "soaking", leader),
    };
    // There is no lock to keep any more, and nothing that the end of a soak could let go of.
    if (held.claim.isLost) return { at: "succeeded", held, done };
    context.progress.step(`${action.name} has succeeded, and its lock is kept while it soaks`, { action: action.name });
    const soaked = await soak(action, leftMs, context, launch);
    if (soaked.outcome === "failed") return { at: "failed", held, end: afterCheck(done.end, soaked.end), isAfterOver: true };
    if (soaked.outcome === "stopped") throw stillSoaking(context.stop.signal.reason);
  }
  return { at: "succeeded", held, done };
}

/** @param outcome what the hook learns in `HOLDLINE_OUTCOME` */
async function runHookAfter(run: Run, held: Held, outcome: OutcomeForAfter, phase: PhaseOfAfter): Promise<ActionEnd> {
  await run.notes.phase(held.claim, phase, null);
  return runAfter(run.action, outcome, run.context, {
    env: environmentUnder(run, held),
    onGroup: (leader) => run.notes.phase(held.claim, phase, leader),
  });
}

function stillSoaking(reason: unknown): unknown {
  if (!(reason instanceof InterruptedError)) return reason;
  const what = "the action has succeeded and its lock is kept, as it had not soaked long enough: holdline resume goes on";
  return new InterruptedError(reason.signal, what);
}
