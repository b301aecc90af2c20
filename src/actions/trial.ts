// Tries an action on this node without its lock and without running its command: can its programs start, which processes does
// its pattern name, does its check succeed?
import { environmentOf } from "../line/environment.js";
import type { GuardedAction } from "./action.js";
import { type ActionEnd, type CommandContext, runCheck } from "./execution.js";
import { findFiles, SearchProblem } from "./facts/files.js";
import { findProgram } from "./commands/program.js";
import { workingDirectory } from "../working-directory.js";

/** Why an action's command, its hooks, or what it asks could not start on this node, in words; empty when all can. */
export function startProblems({ argv, verify, needed, blockers, before, after, cwd, env }: GuardedAction): string[] {
  const programs: [string, readonly string[]][] = [];
  // Without a command the work is the caller's.
  if (argv.length > 0) programs.push(["its command", argv]);
  if (needed !== null && needed.argv !== null) programs.push(["the command of `needed`", needed.argv]);
  for (const blocker of blockers) if (blocker.type === "command") programs.push([`blocker "${blocker.name}"`, blocker.argv]);
  if (before !== null) programs.push(["`before`", before.argv]);
  if (verify !== null) programs.push(["its check", verify.argv]);
  if (after !== null) programs.push(["`after`", after.argv]);
  const path = env["PATH"] ?? process.env["PATH"];
  return programs.flatMap(([what, command]) => {
    const problem = startProblem(command, cwd ?? workingDirectory(), path);
    return problem === null ? [] : [`${what} cannot be started: ${problem}`];
  });
}

/**
 * Why a command could not start on this node, in words; `null` when it can.
 * @param cwd where it would run; `null` where this process's own directory is gone
 * @param path its own PATH
 */
export function startProblem([program]: readonly string[], cwd: string | null, path: string | undefined): string | null {
  const found = findProgram(program, cwd, path);
  return "problem" in found ? found.problem : null;
}

/** What came of a trial; `null` where the action has no pattern, or no check. */
export interface Trial {
  /** How many processes match the pattern. */
  readonly matching: number | null;
  readonly check: ActionEnd | null;
  /** What is odd about the patterns in `needed.changed`, in words. */
  readonly fileProblems: readonly string[];
}

/** Looks for the processes, and with `runsCheck` runs the check once. */
export async function tryAction(
  action: GuardedAction,
  { runsCheck, ...context }: CommandContext & { readonly node: string; readonly runsCheck: boolean },
): Promise<Trial> {
  const matching = action.process === null ? null : (await context.machine.processes.matching(action.process)).length;
  const fileProblems = await problemsOfFiles(action.needed?.changed ?? [], context.stop.signal);
  if (action.verify === null || !runsCheck) return { matching, check: null, fileProblems };
  const env = environmentOf({ action: action.name, lock: action.lock, node: context.node }, null);
  // A pause as long as the deadline for all tries leaves one try, which has to pass once.
  const once = { ...action, verify: { ...action.verify, intervalMs: action.verify.timeoutMs, passes: 1 } };
  return { matching, check: await runCheck(once, context, { env, onGroup: () => undefined }), fileProblems };
}

async function problemsOfFiles(patterns: readonly string[], signal: AbortSignal): Promise<string[]> {
  const problems: string[] = [];
  for (const pattern of patterns) {
    try {
      const hasMatch = await findFiles(pattern, () => undefined, signal);
      if (!hasMatch) problems.push(`no file matches ${JSON.stringify(pattern)} of \`needed.changed\` now`);
    } catch (error) {
      if (!(error instanceof SearchProblem)) throw error;
      problems.push(`${JSON.stringify(pattern)} of \`needed.changed\` cannot be searched: ${error.message}`);
    }
  }
  return problems;
}
