// `exec`: any command under a lock. The claim is ephemeral, and the command must not outlive it. With --durable the command
// becomes an action like a declared one, and run.ts runs it.
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { messageOf } from "../locks/errors.js";
import { EXEC_PREFIX, execActionOf } from "../locks/exec-actions.js";
import { environmentOf } from "../line/environment.js";
import { withEphemeralClaim } from "../line/ephemeral-claim.js";
import type { AcquireSettings } from "../line/waiting.js";
import { DEFAULT_KILL_AFTER_MS, type GuardedAction, NO_ROLLOUT } from "./action.js";
import { type ExecContext, type GuardContext, perspectiveOn, waitOptions } from "./context.js";
import { runGuarded } from "./run.js";
import type { CommandEnd } from "./machine.js";

export interface ExecSpec {
  readonly lock: string;
  readonly argv: readonly string[];
  readonly acquire: AcquireSettings;
  readonly slots: number;
  readonly key: string | null;
  readonly durable: boolean;
  readonly data: unknown;
  /** Why the command begins whatever is frozen; `null`: it heeds freezes. */
  readonly despiteFreeze: string | null;
}

/** How `exec` ended. */
export type ExecEnd =
  | { readonly outcome: "ended"; readonly exitCode: number | null; readonly signal: string | null; readonly message: string }
  /** The program could not start. */
  | { readonly outcome: "not-started"; readonly message: string }
  /** The system had no room for another process. */
  | { readonly outcome: "not-now"; readonly message: string }
  | { readonly outcome: "timed-out" | "frozen" | "unreachable"; readonly message: string }
  /** The claim was lost while the command ran, and the command was ended. */
  | { readonly outcome: "claim-lost"; readonly message: string };

/**
 * Runs a command under a lock.
 * @param contextOf opens what the command needs, by the kind of its claim
 * @throws InterruptedError when asked to stop before it began
 * @throws UnreachableError when the coordinator cannot be reached before it began
 */
export function execute(
  spec: ExecSpec,
  contextOf: { readonly ephemeral: () => ExecContext; readonly durable: () => GuardContext },
): Promise<ExecEnd> {
  return spec.durable ? executeDurably(spec, contextOf.durable()) : executeEphemerally(spec, contextOf.ephemeral());
}

async function executeEphemerally(spec: ExecSpec, context: ExecContext): Promise<ExecEnd> {
  const { machine, progress, stop, node, group, principal } = context;
  const { lock, key, slots, data, despiteFreeze } = spec;
  const coordinator = await context.coordinator(lock);
  const action = `${EXEC_PREFIX}${basename(spec.argv[0] ?? "")}`;
  const owner = { node, group, principal, action, process: machine.processes.self, machine: machine.id };
  const waiting = waitOptions(context, perspectiveOn(coordinator, context), spec.acquire);
  const request = { lock, key, slots, owner, group, reason: despiteFreeze, data, despiteFreeze: despiteFreeze !== null };
  const held = await withEphemeralClaim(coordinator, request, waiting, async (claim) => {
    const env = environmentOf({ action, lock, node }, claim);
    const tell = (message: string): void => progress.step(message, { lock, claim: claim.id });
    const { session, lost } = claim;
    const end = await machine.commands.run(
      {
        argv: spec.argv,
        cwd: null,
        env,
        timeoutMs: null,
        killAfterMs: DEFAULT_KILL_AFTER_MS,
        output: "inherit",
        endsWith: session,
      },
      { onGroup: () => undefined, signal: lost, relayed: stop, calledOff: stop.signal, tell },
    );
    if (!lost.aborted && end.startProblem !== null) stop.signal.throwIfAborted();
    return endOf(end, lost, lock);
  });
  if (held.outcome === "done") return held.result;
  if (held.outcome === "frozen") return { outcome: "frozen", message: `${lock} is ${held.message}` };
  return { outcome: "timed-out", message: held.message };
}

function endOf(end: CommandEnd, lost: AbortSignal, lock: string): ExecEnd {
  if (lost.aborted) {
    return {
      outcome: "claim-lost",
      message: `the claim on ${lock} was lost while the command ran, which was ended: ${messageOf(lost.reason)}`,
    };
  }
  if (end.outheld === true) {
    return { outcome: "claim-lost", message: `the claim on ${lock} could not be confirmed in time, and the command was killed` };
  }
  if (end.lacksRoom === true) return { outcome: "not-now", message: end.startProblem ?? "" };
  if (end.startProblem !== null) return { outcome: "not-started", message: end.startProblem };
  return { outcome: "ended", exitCode: end.exitCode, signal: end.signal, message: "" };
}

async function executeDurably(spec: ExecSpec, context: GuardContext): Promise<ExecEnd> {
  const { acquire, slots, key, data, lock, argv } = spec;
  const action: GuardedAction = {
    name: nameOf(spec),
    mode: "serialize",
    lock,
    argv,
    timeoutMs: null,
    killAfterMs: DEFAULT_KILL_AFTER_MS,
    acquire,
    slots,
    key,
    process: null,
    mustRestart: false,
    alreadyRestarted: "run",
    verify: null,
    onFailure: "hold",
    ...NO_ROLLOUT,
    env: {},
    cwd: null,
    data,
    isOfExec: true,
  };
  const { outcome, exitCode, signal, message, ranMs } = await runGuarded(action, context);
  if (outcome === "frozen") return { outcome, message: `${lock} is ${message}` };
  if (outcome === "timed-out" || outcome === "not-now" || (outcome === "unreachable" && ranMs === null))
    return { outcome, message };
  // Behind a failed holder it does not wait, where the settings say so.
  if (outcome === "blocked") return { outcome: "timed-out", message };
  if (outcome === "failed" && exitCode === null && signal === null) return { outcome: "not-started", message };
  return { outcome: "ended", exitCode: exitCode ?? (signal === null ? 0 : null), signal, message };
}

/** By this name the same command line under the same lock finds its claim again. It shows the program's name and hides the rest. */
function nameOf({ lock, argv }: Pick<ExecSpec, "lock" | "argv">): string {
  const digest = createHash("sha256")
    .update(JSON.stringify([lock, ...argv]))
    .digest("hex")
    .slice(0, 12);
  return execActionOf(basename(argv[0] ?? ""), digest);
}
