// A look at an action as it stands on this node now, without its lock: can its programs be started, which processes does its
// pattern name, does its check succeed? Nothing is restarted.
import { environmentOf } from "../line/environment.js";
import type { GuardedAction } from "./action.js";
import { type ActionEnd, type CommandContext, runCheck } from "./execution.js";
import { findProgram } from "./commands/program.js";
import { workingDirectory } from "../working-directory.js";

/** Why a command of an action, or its check, could not be started from here, in words: as it would be when the action runs. */
export function startProblems({ argv, verify: check, cwd, env }: GuardedAction): string[] {
  const path = env["PATH"] ?? process.env["PATH"];
  const of = (what: string, [name]: readonly string[]): string[] => {
    const program = findProgram(name, cwd ?? workingDirectory(), path);
    return "problem" in program ? [`${what} cannot be started: ${program.problem}`] : [];
  };
  return [...of("its command", argv), ...(check === null ? [] : of("its check", check.argv))];
}

/** What came of it; `null` where the action has no pattern, or no check. */
export interface Trial {
  /** How many processes match the pattern. */
  readonly matching: number | null;
  readonly check: ActionEnd | null;
}

/** Looks for the processes, and runs the check once where that is wanted. */
export async function tryAction(
  action: GuardedAction,
  { runsCheck, ...context }: CommandContext & { readonly node: string; readonly runsCheck: boolean },
): Promise<Trial> {
  const matching = action.process === null ? null : (await context.machine.processes.matching(action.process)).length;
  if (action.verify === null || !runsCheck) return { matching, check: null };
  const env = environmentOf({ action: action.name, lock: action.lock, node: context.node }, null);
  // A pause as long as all tries may take leaves one.
  const once = { ...action, verify: { ...action.verify, intervalMs: action.verify.timeoutMs } };
  return { matching, check: await runCheck(once, context, { env, onGroup: () => undefined }) };
}
