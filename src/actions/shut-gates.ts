// What a guarded run does where it asks its gates with a place or a claim in hand: it settles only while all of them are open, keeps its
// place under a freeze of the whole lock, and makes of a leftover what its gates leave to do. The asking itself is gating.ts's.
import { type Claim, type ClaimRecord } from "../locks/claim.js";
import type { Draft, Joined, JustSettled } from "../locks/coordinator.js";
import type { DocumentCheck } from "../locks/documents.js";
import { DocumentChangedError } from "../locks/errors.js";
import type { Freeze } from "../locks/freezes.js";
import { link } from "../locks/signals.js";
import { sanitize } from "../locks/text.js";
import { keepsPlace, readBinding, untilThawed } from "../line/freezes.js";
import { runCheck } from "./execution.js";
import { firstShut, frozenAnswer, freezeSubject, hasReadFiles, type Shut } from "./gating.js";
import { launchOfCheck } from "./launches.js";
import { isLeftover, restartedSince } from "./recovery.js";
import type { Held, Run, State } from "./run-states.js";

/** A claim that has settled, or the gate that has kept it from that. */
export type SettledOrShut =
  /** `askedAt`: when the store was asked to settle it, by this process's clock. */
  { readonly settled: JustSettled; readonly record: ClaimRecord; readonly askedAt: number } | { readonly shut: Shut };

/**
 * Settles a claim that has been granted, unless a gate is shut. A freeze that comes between the last look and the settling still counts:
 * the store checks that.
 * @throws SessionLostError, ClaimLostError when the claim is lost meanwhile
 */
export async function settleBehindGates(
  run: Run,
  { draft, joined }: { readonly draft: Draft; readonly joined: Joined },
  recordOf: () => Promise<ClaimRecord>,
): Promise<SettledOrShut> {
  const { context, coordinator, orders } = run;
  for (;;) {
    const early = await firstShut(run, ["needed", "window"]);
    if (early !== null) return { shut: early };
    const freeze = orders.despiteFreeze ? OPEN : await passFreezes(run, joined);
    if ("shut" in freeze) return freeze;
    // It may have waited long: the window may be over.
    if (freeze.hasWaited) continue;
    const blocked = await firstShut(run, ["blockers"]);
    if (blocked !== null) return { shut: blocked };
    const settled = await settleThawed(run, joined, freeze.checks, async (checks) => {
      const record = await recordOf();
      const askedAt = context.machine.clock.now();
      return { settled: await coordinator.settle(draft, joined, record, undefined, checks), record, askedAt };
    });
    if (settled !== null) return settled;
  }
}

/**
 * Settles. Where the freezes have changed since they were read, only they are read again: the other gates take their time, and while
 * somebody freezes and thaws again and again a run that asked them each time would never settle, and nobody behind it either.
 * @returns `null` after a wait for a thaw: then all gates are to be asked again
 */
async function settleThawed(
  run: Run,
  joined: Joined,
  checks: readonly DocumentCheck[],
  settle: (checks: readonly DocumentCheck[]) => Promise<SettledOrShut>,
): Promise<SettledOrShut | null> {
  for (let read = checks; ;) {
    try {
      return await settle(read);
    } catch (error) {
      if (!(error instanceof DocumentChangedError)) throw error;
    }
    const freeze = await passFreezes(run, joined);
    if ("shut" in freeze) return freeze;
    if (freeze.hasWaited) return null;
    read = freeze.checks;
  }
}

const OPEN: Passed = { hasWaited: false, checks: [] };

type Passed = { readonly shut: Shut } | { readonly hasWaited: boolean; readonly checks: readonly DocumentCheck[] };

/** While the whole lock is frozen the run keeps its place, as long as it would have waited for its turn. */
async function passFreezes({ action, context, coordinator, report }: Run, joined: Joined): Promise<Passed> {
  const { stop, machine, progress } = context;
  const subjects = [freezeSubject({ action, context })];
  const { signal, unlink } = link(stop.signal, joined.session.lost);
  try {
    const { binding, check } = await readBinding(coordinator, subjects, signal);
    if (binding.length === 0) return { hasWaited: false, checks: [check] };
    const { timeoutMs, sleepTimeMs } = action.acquire;
    report.endWait();
    const leftMs = timeoutMs === null ? null : Math.max(0, timeoutMs - report.waitedMs);
    if (leftMs !== 0 && keepsPlace(binding)) {
      const thawed = await untilThawed(coordinator, subjects, {
        clock: machine.clock,
        progress,
        timeoutMs: leftMs,
        sleepTimeMs,
        signal,
      });
      report.endWait();
      if (thawed.binding.length === 0) return { hasWaited: true, checks: [] };
      return frozen(thawed.binding);
    }
    return frozen(binding);
  } finally {
    unlink();
  }
}

function frozen(binding: readonly Freeze[]): { readonly shut: Shut } {
  return { shut: frozenAnswer(binding) };
}

/**
 * What becomes of a leftover in hand whose action should run again, if a gate is shut. `null`: it runs.
 *
 * That the action is not needed does not end the leftover: its run may have left the service in pieces. It ends where the process has
 * restarted since that run or, where the action has a check, where the check passes. Else the action runs although nothing else says
 * that it is needed.
 */
export async function firstShutUnder(run: Run, held: Held): Promise<State | null> {
  const unneeded = await firstShut(run, ["needed"], held.claim);
  if (unneeded?.answer === "not-now") return { at: "given-back", held, why: { shut: unneeded } };
  if (unneeded !== null) {
    const { action, context } = run;
    if (await isWell(run, held)) {
      return { at: "after", held, done: { event: "recovered", outcome: "not-needed", message: unneeded.because, end: null } };
    }
    const details = { action: action.name, lock: held.claim.lock, claim: held.claim.id };
    context.progress.step(
      "it is not needed any more, but nothing says that what was left is well: running the action again",
      details,
    );
  }
  const early = await firstShut(run, ["window", "freeze", "blockers"], held.claim);
  // Blockers may take their time, and no transaction checks what has been frozen meanwhile.
  const shut = early ?? (run.action.blockers.length === 0 ? null : await firstShut(run, ["freeze"], held.claim));
  return shut === null ? null : { at: "given-back", held, why: { shut } };
}

async function isWell(run: Run, held: Held): Promise<boolean> {
  const { action, context } = run;
  if (action.verify !== null) return (await runCheck(action, context, launchOfCheck(run, held))).succeeded;
  const made = held.leftover?.made ?? null;
  return (await restartedSince(action, made, context.machine.processes)) && (await hasReadFiles(run));
}

/**
 * Which holders end a wait: what an earlier run of the action has left. Also notes who has failed, for a wait that `behind_failed: leave`
 * has ended. A leftover comes first: this run may end that itself.
 */
export function holdersInTheWay({ action, perspective }: Pick<Run, "action" | "perspective">) {
  let failed: Claim | null = null;
  let hasLeftover = false;
  return {
    isOne(this: void, holder: Claim): boolean {
      if (isLeftover(holder, action.name, perspective)) return (hasLeftover = true);
      if (holder.failure !== null) failed = holder;
      return false;
    },
    /** The failed holder behind which nobody is to wait. */
    failed: (): Claim | null => (hasLeftover ? null : failed),
  };
}

export function describeFailed({ lock, owner, failure }: Claim): string {
  const what = owner.action === null ? "" : `, ${owner.action}`;
  return sanitize(`${lock} is held by ${owner.node}${what}, which has failed: ${failure?.message ?? ""}`);
}
