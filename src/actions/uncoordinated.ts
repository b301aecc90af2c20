// An action without its lock, as `skip_coordination` has it: the command and the check, and nothing else.
import { environmentOf } from "../line/environment.js";
import type { GuardedAction } from "./action.js";
import type { GuardContext } from "./context.js";
import { afterCheck, type Launch, runCheck, runCommand } from "./execution.js";
import type { Result } from "./result.js";
import { RunReport } from "./run-report.js";

/** Runs an action without any lock, and says so. */
export async function runUncoordinated(action: GuardedAction, context: GuardContext): Promise<Result> {
  const { log, node } = context;
  const { name, lock } = action;
  log.warn({ action: name }, "coordination is skipped: the action runs without any lock");
  const report = new RunReport(action, context, "wished");
  const launch: Launch = { env: environmentOf({ action: name, lock, node }, null), onGroup: () => undefined };
  const ran = await runCommand(action, context, launch);
  if (ran.lacksRoom) return { ...report.result("not-now", ran.message, null), coordinated: false };
  const end = ran.succeeded ? afterCheck(ran, await runCheck(action, context, launch)) : ran;
  const { exitCode, signal, message } = end;
  if (!end.succeeded) log.error({ action: name, exitCode, signal }, `${name} failed: ${message}`);
  return { ...report.result(end.succeeded ? "ran" : "failed", message, end), coordinated: false };
}
