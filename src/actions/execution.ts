// Running an action's command and then its check, under a claim that is already in hand. Owns what counts as success and
// the words for failure; the claim itself is guard.ts's.
import type { ProcessIdentity } from "../locks/claim.js";
import { formatDuration } from "../locks/durations.js";
import type { GuardedAction } from "./action.js";
import type { CommandEnd, CommandSpec, Machine } from "./machine.js";
import type { Progress } from "./progress.js";
import type { StopRequests } from "./stop.js";

/** How an action ended: a value, whatever happened. */
export interface ActionEnd {
  readonly succeeded: boolean;
  /** Has the command done anything at all? False when it could not be started, or was called off before. */
  readonly began: boolean;
  /** It did not begin because the system had no room for it just now: nothing is wrong with the action. */
  readonly lacksRoom: boolean;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** What failed, in words; empty after success. */
  readonly message: string;
  /** The last 4 KiB of what the failed command printed. */
  readonly output: string;
  readonly ranMs: number;
}

export interface ExecutionContext {
  readonly machine: Machine;
  readonly progress: Progress;
  readonly stop: StopRequests;
  /** What the command sees in its environment beside the action's own `env`. */
  readonly env: Readonly<Record<string, string>>;
  /** Called before each command can do anything, with the leader of its process group. */
  readonly onGroup: (phase: "running" | "verifying", leader: ProcessIdentity) => void | Promise<void>;
}

/** Runs the command, then the check until it succeeds or its time is over. */
export async function execute(action: GuardedAction, context: ExecutionContext): Promise<ActionEnd> {
  const { clock, commands } = context.machine;
  const started = clock.now();
  context.progress.step(`running ${action.name}`, { action: action.name });
  const end = await commands.run(specOf(action, context, action.argv, action.timeoutMs, "relay"), {
    onGroup: (leader) => context.onGroup("running", leader),
    relayed: context.stop,
    calledOff: context.stop.signal,
    tell: (message) => context.progress.step(message, { action: action.name }),
  });
  const message = problemOf(end, action.timeoutMs);
  if (message !== null) return failure(end, message, clock.now() - started);
  if (action.verify === null) return success(end, clock.now() - started);
  const checked = await verify(action, context);
  // Whatever became of the check: the command has run.
  return { ...checked, began: true, lacksRoom: false, ranMs: clock.now() - started };
}

const NO_CHECK: ActionEnd = {
  succeeded: true,
  began: true,
  lacksRoom: false,
  exitCode: 0,
  signal: null,
  message: "",
  output: "",
  ranMs: 0,
};

/** Runs only the check. Success at once where the action has none. */
export async function verify(action: GuardedAction, context: ExecutionContext): Promise<ActionEnd> {
  const { clock, commands } = context.machine;
  const check = action.verify;
  const started = clock.now();
  if (check === null) return NO_CHECK;
  context.progress.step(`checking ${action.name}`, { action: action.name });
  let lastWhole: CommandEnd | null = null;
  for (let tries = 1; ; tries += 1) {
    const leftMs = Math.max(1, check.timeoutMs - (clock.now() - started));
    const end = await commands.run(specOf(action, context, check.argv, leftMs, "keep"), {
      onGroup: (leader) => context.onGroup("verifying", leader),
      relayed: context.stop,
      tell: (message) => context.progress.step(message, { action: action.name }),
    });
    const problem = problemOf(end, check.timeoutMs);
    if (problem === null) return success(end, clock.now() - started);
    const isOver = clock.now() - started + check.intervalMs >= check.timeoutMs;
    // A check that the system had no room for says nothing: it is tried again.
    const cannotStart = end.startProblem !== null && end.lacksRoom !== true;
    if (isOver || cannotStart || context.stop.signal.aborted) {
      const often = tries === 1 ? "" : ` (tried ${tries} times)`;
      // A try that the deadline cut off says less than the one before it.
      const telling = end.timedOut && lastWhole !== null ? lastWhole : end;
      return failure(telling, `the check failed: ${problemOf(telling, check.timeoutMs) ?? problem}${often}`, clock.now() - started);
    }
    lastWhole = end;
    await clock.sleep(check.intervalMs, context.stop.signal).catch((error: unknown) => {
      if (!context.stop.signal.aborted) throw error; // Asked to stop: one last look decides.
    });
  }
}

function specOf(
  action: GuardedAction,
  context: ExecutionContext,
  argv: readonly string[],
  timeoutMs: number | null,
  output: CommandSpec["output"],
): CommandSpec {
  return { argv, timeoutMs, output, cwd: action.cwd, killAfterMs: action.killAfterMs, env: { ...action.env, ...context.env } };
}

/** What was wrong with a command's end, in words, or `null`. */
export function problemOf(end: CommandEnd, timeoutMs: number | null): string | null {
  if (end.startProblem !== null) return end.startProblem;
  if (end.timedOut) return `timed out after ${formatDuration(timeoutMs ?? end.ranMs)}`;
  if (end.signal !== null) return `killed by ${end.signal}`;
  return end.exitCode === 0 ? null : `exit code ${end.exitCode}`;
}

function success(end: CommandEnd, ranMs: number): ActionEnd {
  return {
    succeeded: true,
    began: true,
    lacksRoom: false,
    exitCode: end.exitCode,
    signal: null,
    message: "",
    output: end.tail,
    ranMs,
  };
}

function failure(end: CommandEnd, message: string, ranMs: number): ActionEnd {
  return {
    succeeded: false,
    began: end.startProblem === null,
    lacksRoom: end.lacksRoom === true,
    exitCode: end.exitCode,
    signal: end.signal,
    message,
    output: end.tail,
    ranMs,
  };
}
