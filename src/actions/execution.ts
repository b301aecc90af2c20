// Runs an action's command, its hooks and its check. Owns what counts as success, and the words for failure. Knows no claim.
import type { BootMoment, Failure } from "../locks/claim.js";
import { formatDuration } from "../locks/durations.js";
import { HoldlineError } from "../locks/errors.js";
import type { GuardedAction, HookSettings } from "./action.js";
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
  /** Whether it has said by its exit code that nothing has failed and nothing is done: try later. */
  readonly saysNotNow: boolean;
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

/** How a check is launched. */
export interface LaunchOfCheck extends Launch {
  /** Called when one look is not enough, before the second. */
  readonly onAgain?: () => Promise<void>;
  /** Whether nobody is told that it is checked, as when that goes on and on. */
  readonly isQuiet?: boolean;
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
  if (message !== null) {
    const isNotNow = saysNotNow(action, end);
    const why = isNotNow ? `the command says so with exit code ${end.exitCode}` : message;
    return { ...failure(end, why, clock.now() - started), saysNotNow: isNotNow };
  }
  const standing = await problemOfProcesses(action, context, begunAt);
  if (standing === null) return success(end, clock.now() - started);
  return { ...failure(end, standing, clock.now() - started), exitCode: null, signal: null };
}

/** What an action is about to come to, as its hook `after` learns it in `HOLDLINE_OUTCOME`. */
export type OutcomeForAfter = "ran" | "failed" | "not-now";

/** Runs the hook that drains the node. Only this hook can say "not now", and only this one is called off by a stop request. */
export async function runBefore(action: GuardedAction, context: CommandContext, launch: Launch): Promise<ActionEnd> {
  if (action.before === null) return NOTHING_RUN;
  const { signal } = context.stop;
  const { end, ended } = await runHook(action, "before", action.before, context, launch, signal);
  const isNotNow = saysNotNow(action, end);
  return { ...ended, saysNotNow: isNotNow, ...(isNotNow ? { message: `before says so with exit code ${end.exitCode}` } : {}) };
}

/** Runs the hook that undoes `before`; success at once where the action has none. A stop request does not keep it from its work. */
export async function runAfter(
  action: GuardedAction,
  outcome: OutcomeForAfter,
  context: CommandContext,
  launch: Launch,
): Promise<ActionEnd> {
  if (action.after === null) return NOTHING_RUN;
  const env = { ...launch.env, HOLDLINE_OUTCOME: outcome };
  return (await runHook(action, "after", action.after, context, { ...launch, env })).ended;
}

async function runHook(
  action: GuardedAction,
  name: "before" | "after",
  hook: HookSettings,
  context: CommandContext,
  launch: Launch,
  calledOff?: AbortSignal,
): Promise<{ readonly end: CommandEnd; readonly ended: ActionEnd }> {
  const { clock, commands } = context.machine;
  const started = clock.now();
  context.progress.step(`running ${name} of ${action.name}`, { action: action.name });
  const end = await commands.run(specOf(action, launch, hook.argv, hook.timeoutMs, "relay"), {
    onGroup: launch.onGroup,
    relayed: context.stop,
    ...(calledOff === undefined ? {} : { calledOff }),
    tell: (message) => context.progress.step(message, { action: action.name }),
  });
  const problem = problemOf(end, hook.timeoutMs);
  const ranMs = clock.now() - started;
  return { end, ended: problem === null ? success(end, ranMs) : failure(end, `${name} failed: ${problem}`, ranMs) };
}

function saysNotNow({ notNow }: GuardedAction, { startProblem, timedOut, signal, exitCode }: CommandEnd): boolean {
  return startProblem === null && !timedOut && signal === null && exitCode !== 0 && exitCode !== null && notNow.includes(exitCode);
}

/**
 * How an action ended whose command has succeeded, by its check or its hook `after`. Whatever became of these: the command has run.
 * @param ran `null` where an earlier run has done that
 */
export function afterCheck(ran: ActionEnd | null, checked: ActionEnd): ActionEnd {
  return { ...checked, began: true, lacksRoom: false, saysNotNow: false, ranMs: (ran?.ranMs ?? 0) + checked.ranMs };
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

/** Where there is no check, or no hook. */
export const NOTHING_RUN: ActionEnd = {
  succeeded: true,
  began: true,
  lacksRoom: false,
  saysNotNow: false,
  exitCode: 0,
  signal: null,
  message: "",
  output: "",
  ranMs: 0,
};

/** Runs the check until it has passed as often as it must, or its time is over. Success at once where the action has none. */
export async function runCheck(action: GuardedAction, context: CommandContext, launch: LaunchOfCheck): Promise<ActionEnd> {
  const { clock, commands } = context.machine;
  const check = action.verify;
  const started = clock.now();
  if (check === null) return NOTHING_RUN;
  if (launch.isQuiet !== true) context.progress.step(`checking ${action.name}`, { action: action.name });
  let lastWhole: CommandEnd | null = null;
  let passed = 0;
  let mostPassed = 0;
  for (let tries = 1; ; tries += 1) {
    const leftMs = Math.max(1, check.timeoutMs - (clock.now() - started));
    const end = await commands.run(specOf(action, launch, check.argv, leftMs, "keep"), {
      onGroup: launch.onGroup,
      relayed: context.stop,
      tell: (message) => context.progress.step(message, { action: action.name }),
    });
    const problem = problemOf(end, check.timeoutMs);
    passed = problem === null ? passed + 1 : 0;
    mostPassed = Math.max(mostPassed, passed);
    // After a stop request, one last look decides.
    const isEnough = passed >= check.passes || context.stop.signal.aborted;
    if (problem === null && isEnough) return success(end, clock.now() - started);
    const isOver = clock.now() - started + check.intervalMs >= check.timeoutMs;
    // A check that the system had no room for says nothing about the service: try it again.
    const cannotStart = end.startProblem !== null && end.lacksRoom !== true;
    if (isOver || cannotStart || context.stop.signal.aborted) {
      const often = tries === 1 ? "" : ` (tried ${tries} times)`;
      // A try that the deadline cut off tells less than the one before it.
      const telling = end.timedOut && lastWhole !== null ? lastWhole : end;
      const why = problemOf(telling, check.timeoutMs) ?? `it passed only ${mostPassed} of ${check.passes} times in a row`;
      return failure(telling, `the check failed: ${why}${often}`, clock.now() - started);
    }
    lastWhole = end;
    if (tries === 1) await launch.onAgain?.();
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
    saysNotNow: false,
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
    saysNotNow: false,
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
