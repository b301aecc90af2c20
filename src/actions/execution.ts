// Runs an action's command, and its check. Owns what counts as success, and the words for failure. Knows no claim.
import type { BootMoment, Failure } from "../locks/claim.js";
import { formatDuration } from "../locks/durations.js";
import { HoldlineError } from "../locks/errors.js";
import type { GuardedAction } from "./action.js";
import type { CommandEnd, CommandSpec, Leader, Machine } from "./machine.js";
import { eldestOf, hasRestartedBy } from "./processes.js";
import type { Progress } from "../line/progress.js";
import type { StopRequests } from "./stop.js";

/** How an action ended: a value, whatever happened. */
export interface ActionEnd {
  readonly succeeded: boolean;
  /** Whether the command has done anything at all: not when it could not start, or was called off before. */
  readonly began: boolean;
  /** Whether the command did not begin because the system had no room for it just now: nothing is wrong with the action. */
  readonly lacksRoom: boolean;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** What failed, in words; empty after success. */
  readonly message: string;
  /** The last 4 KiB of what the failed command printed. */
  readonly output: string;
  readonly ranMs: number;
}

/** What a command needs of its run. */
export interface CommandContext {
  readonly machine: Pick<Machine, "clock" | "commands" | "processes">;
  readonly progress: Progress;
  readonly stop: StopRequests;
}

/** How the commands of an action are launched. */
export interface Launch {
  /** What they see in their environment beside the action's own `env`. */
  readonly env: Readonly<Record<string, string>>;
  /** Called before a command can do anything, with the leader of its process group. */
  readonly onGroup: (leader: Leader) => void | Promise<void>;
}

/** Runs the command, and sees that it has restarted what it should have. */
export async function runCommand(action: GuardedAction, context: CommandContext, launch: Launch): Promise<ActionEnd> {
  const { clock, commands, processes } = context.machine;
  const started = clock.now();
  const begunAt = processes.moment();
  context.progress.step(`running ${action.name}`, { action: action.name });
  const end = await commands.run(specOf(action, launch, action.argv, action.timeoutMs, "relay"), {
    onGroup: launch.onGroup,
    relayed: context.stop,
    calledOff: context.stop.signal,
    tell: (message) => context.progress.step(message, { action: action.name }),
  });
  const message = problemOf(end, action.timeoutMs);
  if (message !== null) return failure(end, message, clock.now() - started);
  const standing = await problemOfProcesses(action, context, begunAt);
  if (standing === null) return success(end, clock.now() - started);
  return { ...failure(end, standing, clock.now() - started), exitCode: null, signal: null };
}

/** How an action ended whose command has succeeded, by its check. Whatever became of the check: the command has run. */
export function afterCheck(ran: ActionEnd, checked: ActionEnd): ActionEnd {
  return { ...checked, began: true, lacksRoom: false, ranMs: ran.ranMs + checked.ranMs };
}

// A command may only ask its service to restart, and the service takes a moment. It gets as long as the check has, or this.
const RESTART_PATIENCE_MS = 5_000;
const RESTART_PAUSE_MS = 100;

/**
 * What is wrong with the processes that the action should have restarted, in words; `null` when nothing is: some match, and the
 * eldest of them has started since the action began.
 */
async function problemOfProcesses(action: GuardedAction, context: CommandContext, begunAt: BootMoment): Promise<string | null> {
  const { clock, processes } = context.machine;
  const pattern = action.process;
  if (action.mode !== "serialize_process" || pattern === null || !action.mustRestart) return null;
  const deadline = clock.now() + (action.verify?.timeoutMs ?? RESTART_PATIENCE_MS);
  for (;;) {
    let running;
    try {
      running = await processes.matching(pattern);
    } catch (error) {
      // A user that is no longer known, say. The command has run, so this is a failure of the action.
      if (error instanceof HoldlineError) return `its process cannot be looked for: ${error.message}`;
      throw error;
    }
    if (hasRestartedBy(begunAt, running)) return null;
    if (clock.now() + RESTART_PAUSE_MS >= deadline || context.stop.signal.aborted) {
      const eldest = eldestOf(running);
      if (eldest === null) return "no process matches `process`: the service is not there, or the pattern is not its own";
      return `it restarted nothing: process ${eldest.pid}, which matches \`process\`, has been there since before the action began`;
    }
    await clock.sleep(RESTART_PAUSE_MS, context.stop.signal).catch((error: unknown) => {
      if (!context.stop.signal.aborted) throw error; // After a stop request, one last look decides.
    });
  }
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

/** Runs the check until it succeeds or its time is over. Success at once where the action has none. */
export async function runCheck(action: GuardedAction, context: CommandContext, launch: Launch): Promise<ActionEnd> {
  const { clock, commands } = context.machine;
  const check = action.verify;
  const started = clock.now();
  if (check === null) return NO_CHECK;
  context.progress.step(`checking ${action.name}`, { action: action.name });
  let lastWhole: CommandEnd | null = null;
  for (let tries = 1; ; tries += 1) {
    const leftMs = Math.max(1, check.timeoutMs - (clock.now() - started));
    const end = await commands.run(specOf(action, launch, check.argv, leftMs, "keep"), {
      onGroup: launch.onGroup,
      relayed: context.stop,
      tell: (message) => context.progress.step(message, { action: action.name }),
    });
    const problem = problemOf(end, check.timeoutMs);
    if (problem === null) return success(end, clock.now() - started);
    const isOver = clock.now() - started + check.intervalMs >= check.timeoutMs;
    // A check that the system had no room for says nothing about the service: try it again.
    const cannotStart = end.startProblem !== null && end.lacksRoom !== true;
    if (isOver || cannotStart || context.stop.signal.aborted) {
      const often = tries === 1 ? "" : ` (tried ${tries} times)`;
      // A try that the deadline cut off tells less than the one before it.
      const telling = end.timedOut && lastWhole !== null ? lastWhole : end;
      return failure(telling, `the check failed: ${problemOf(telling, check.timeoutMs) ?? problem}${often}`, clock.now() - started);
    }
    lastWhole = end;
    await clock.sleep(check.intervalMs, context.stop.signal).catch((error: unknown) => {
      if (!context.stop.signal.aborted) throw error; // After a stop request, one last look decides.
    });
  }
}

function specOf(
  action: GuardedAction,
  launch: Launch,
  argv: readonly string[],
  timeoutMs: number | null,
  output: CommandSpec["output"],
): CommandSpec {
  return { argv, timeoutMs, output, cwd: action.cwd, killAfterMs: action.killAfterMs, env: { ...action.env, ...launch.env } };
}

/** What is wrong with a command's end, in words; `null` when nothing is. */
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

/** What a claim or the history keeps of a failure, but for the time. */
export function failureOf({ exitCode, signal, message, output }: ActionEnd): Omit<Failure, "at"> {
  return { exitCode, signal, message, output };
}
