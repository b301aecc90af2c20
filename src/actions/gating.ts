// Asks the gates of an action: gathers the facts that src/gates/ wants to see, and no more of them than it wants. When a run asks, and
// what it does behind a gate that is shut, is claiming-states.ts's.
import { type BlockerFact, type BlockerSettings, nextBlocker } from "../gates/blockers.js";
import { type Gate, type GateAnswer, gatesToAsk, type Passes } from "../gates/gate.js";
import { type NeededFact, nextSign, type Sign } from "../gates/needed.js";
import { windowAnswer, windowsAt } from "../gates/windows.js";
import { isoTime } from "../locks/durations.js";
import { type ClaimInHand, environmentOf } from "../line/environment.js";
import { readBinding } from "../line/freezes.js";
import { describeFreezes } from "../line/words.js";
import type { Freeze, FreezeSubject } from "../locks/freezes.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import type { GuardedAction } from "./action.js";
import type { GuardContext } from "./context.js";
import { problemOf } from "./execution.js";
import type { CommandEnd, Machine } from "./machine.js";
import type { Result } from "./result.js";
import type { RunReport } from "./run-report.js";

/** What a person has said with a run. */
export interface Orders extends Passes {
  /** Shown with the claim; there is one where `despiteFreeze` is. */
  readonly reason: string | null;
}

export const NO_ORDERS: Orders = { force: false, despiteFreeze: false, reason: null };

/** Who asks. */
export interface Asker {
  readonly action: GuardedAction;
  readonly context: Pick<GuardContext, "node" | "group" | "stop"> & {
    readonly machine: Pick<Machine, "commands" | "facts">;
  };
  readonly orders: Orders;
  /** `null` where no store is open: then no freeze can be read. */
  readonly coordinator: Coordinator | null;
  /** Whether it is only to be seen what would happen. */
  readonly isDry: boolean;
}

/** The answer of a gate that is shut, or that says that there is nothing to do. */
export type Shut = Exclude<GateAnswer, { readonly answer: "go" }>;

/**
 * Asks gates in their order.
 * @param gates those that are meant, of the ones that count for this run
 * @param claim what the commands see of it
 * @returns the first answer that is not go; `null`: the action may begin
 */
export async function firstShut(
  asker: Asker,
  gates: readonly Gate[] = ["needed", "window", "freeze", "blockers"],
  claim: ClaimInHand | null = null,
): Promise<Shut | null> {
  for (const gate of gatesToAsk(asker.orders)) {
    if (!gates.includes(gate)) continue;
    const answer = await askGate(asker, gate, claim);
    if (answer.answer !== "go") return answer;
  }
  return null;
}

export async function askGate(asker: Asker, gate: Gate, claim: ClaimInHand | null = null): Promise<GateAnswer> {
  const { action, context, coordinator } = asker;
  switch (gate) {
    case "needed":
      return askNeeded(asker, claim);
    case "window": {
      if (action.windows.length === 0) return { answer: "go", because: "it has no windows" };
      const { facts } = context.machine;
      const nowMs = facts.wallNow();
      return windowAnswer(await windowsAt(action.windows, facts.zone(), nowMs));
    }
    case "freeze": {
      if (coordinator === null) return { answer: "go", because: "no store says that it is frozen" };
      const { binding } = await readBinding(coordinator, [freezeSubject(asker)], context.stop.signal);
      return binding.length === 0 ? { answer: "go", because: "no freeze binds it" } : frozenAnswer(binding);
    }
    case "blockers":
      return askBlockers(asker, claim);
  }
}

/** Whom freezes have to bind to bind a run. */
export function freezeSubject({ action, context: { node, group } }: Pick<Asker, "action" | "context">): FreezeSubject {
  return { lock: action.lock, node, group };
}

/** A freeze ends by the store's clock, which is not this node's: so the answer says no time. */
export function frozenAnswer(binding: readonly Freeze[]): Shut {
  return { answer: "not-now", outcome: "frozen", because: describeFreezes(binding), untilMs: null };
}

/** What becomes of a run that a gate has stopped: either there is nothing left to do, or the attempt is journalled. */
export function resultOf(
  shut: Shut,
  { action, context }: { action: GuardedAction; context: GuardContext },
  report: RunReport,
): Result {
  if (shut.answer === "not-needed") {
    if (action.isOfExec !== true) context.machine.journal.clearAttempts(action.name);
    return report.result("not-needed", shut.because, null);
  }
  const result = report.notRun(shut.outcome, shut.because);
  return shut.outcome === "outside-window" && shut.untilMs !== null ? { ...result, nextAt: isoTime(shut.untilMs) } : result;
}

/**
 * Whether the action's process may have read all files of `needed.changed` as they are now. A process that is older than one of them
 * has not fulfilled any wish.
 */
export async function hasReadFiles({ action, context }: Pick<Asker, "action" | "context">): Promise<boolean> {
  const { needed, process: pattern, name } = action;
  if (needed === null || needed.changed.length === 0 || pattern === null) return true;
  const request = { action: name, patterns: needed.changed, pattern, remembers: false };
  const { found } = await context.machine.facts.changed(request, context.stop.signal);
  return found === "none-newer";
}

async function askNeeded(asker: Asker, claim: ClaimInHand | null): Promise<GateAnswer> {
  const facts: NeededFact[] = [];
  for (;;) {
    const next = nextSign(asker.action.needed, facts);
    if ("answer" in next) return next.answer;
    facts.push(await lookAt(next.look, asker, claim));
  }
}

// A sign's command has no `timeout` of its own. One that takes longer than this hangs.
const SIGN_TIMEOUT_MS = 60_000;

async function lookAt(look: Sign, asker: Asker, claim: ClaimInHand | null): Promise<NeededFact> {
  const { action, context, isDry } = asker;
  const { stop } = context;
  const { facts } = context.machine;
  switch (look.sign) {
    case "file":
      return facts.file(look.path, stop.signal);
    case "changed":
    case "outdated": {
      const { sign } = look;
      const pattern = action.process;
      if (pattern === null) return { sign, found: "problem", problem: `\`${sign}\` needs the action's \`process\`` };
      try {
        if (sign === "outdated") return { sign, ...(await facts.outdated(pattern, stop.signal)) };
        const request = { action: action.name, patterns: look.patterns, pattern, remembers: !isDry };
        return { sign, ...(await facts.changed(request, stop.signal)) };
      } catch (error) {
        // A user that is no longer known, say.
        if (error instanceof HoldlineError) return { sign, found: "problem", problem: error.message };
        throw error;
      }
    }
    case "command": {
      const end = await runForGate(asker, look.argv, SIGN_TIMEOUT_MS, claim);
      const problem = end.exitCode === 1 ? null : problemOf(end, SIGN_TIMEOUT_MS);
      return { sign: "command", argv: look.argv, exitCode: end.exitCode, problem: withLine(problem, end) };
    }
  }
}

async function askBlockers(asker: Asker, claim: ClaimInHand | null): Promise<GateAnswer> {
  const facts: BlockerFact[] = [];
  for (;;) {
    const next = nextBlocker(asker.action.blockers, facts);
    if ("answer" in next) return next.answer;
    facts.push(await lookAtBlocker(next.look, asker, claim));
  }
}

async function lookAtBlocker(blocker: BlockerSettings, asker: Asker, claim: ClaimInHand | null): Promise<BlockerFact> {
  const { machine, stop } = asker.context;
  if (blocker.type === "prometheus") return machine.facts.alerts(blocker, stop.signal);
  const end = await runForGate(asker, blocker.argv, blocker.timeoutMs, claim);
  return { type: "command", name: blocker.name, problem: problemOf(end, blocker.timeoutMs), line: lastLineOf(end) };
}

/** Runs a command whose end is an answer. What it prints is only seen where the answer is no. */
async function runForGate(
  { action, context }: Asker,
  argv: readonly string[],
  timeoutMs: number,
  claim: ClaimInHand | null,
): Promise<CommandEnd> {
  const { machine, stop, node } = context;
  const { cwd, env, killAfterMs, name, lock } = action;
  const end = await machine.commands.run(
    {
      ...{ argv, cwd, timeoutMs, killAfterMs, output: "keep" },
      env: { ...env, ...environmentOf({ action: name, lock, node }, claim) },
    },
    { onGroup: () => undefined, signal: stop.signal, calledOff: stop.signal },
  );
  stop.signal.throwIfAborted();
  return end;
}

function withLine(problem: string | null, end: CommandEnd): string | null {
  const line = lastLineOf(end);
  return problem === null || line === "" ? problem : `${problem}: ${line}`;
}

function lastLineOf({ tail }: CommandEnd): string {
  return tail.trimEnd().split("\n").at(-1)?.trim() ?? "";
}
