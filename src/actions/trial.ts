// Tries an action on this node without its lock and without running its command: can its programs start, which processes does
// its pattern name, does its check succeed?
import { environmentOf } from "../line/environment.js";
import type { GuardedAction } from "./action.js";
import { type ActionEnd, type CommandContext, runCheck } from "./execution.js";
import { findProgram } from "./commands/program.js";
import { workingDirectory } from "../working-directory.js";

/** Why the command of an action, or its check, could not start on this node, in words; empty when both can. */
export function startProblems({ argv, verify: check, cwd, env }: GuardedAction): string[] {
  const path = env["PATH"] ?? process.env["PATH"];
  const of = (what: string, [name]: readonly string[]): string[] => {
    const program = findProgram(name, cwd ?? workingDirectory(), path);
    return "problem" in program ? [`${what} cannot be started: ${program.problem}`] : [];
  };
  return [...of("its command", argv), ...(check === null ? [] : of("its check", check.argv))];
}

/** What came of a trial; `null` where the action has no pattern, or no check. */
export interface Trial {
  /** How many processes match the pattern. */
  readonly matching: number | null;
  readonly check: ActionEnd | null;
}

/** Looks for the processes, and with `runsCheck` runs the check once. */
export async function tryAction(
  action: GuardedAction,
  { runsCheck, ...context }: CommandContext & { readonly node: string; readonly runsCheck: boolean },
): Promise<Trial> {
  const matching = action.process === null ? null : (await context.machine.processes.matching(action.process)).length;
  if (action.verify === null || !runsCheck) return { matching, check: null };
  const env = environmentOf({ action: action.name, lock: action.lock, node: context.node }, null);
  // A pause as long as the deadline for all tries leaves one try.
  const once = { ...action, verify: { ...action.verify, intervalMs: action.verify.timeoutMs } };
  return { matching, check: await runCheck(once, context, { env, onGroup: () => undefined }) };
}
