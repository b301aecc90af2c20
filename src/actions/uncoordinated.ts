// An action without its lock, as `skip_coordination` has it: the command and the check, and nothing else.
import { environmentOf } from "../line/environment.js";
import type { GuardedAction } from "./action.js";
import type { GuardContext } from "./context.js";
import { afterCheck, failureOf, type Launch, runCheck, runCommand } from "./execution.js";
import type { Result } from "./result.js";
import { RunReport } from "./run-report.js";
import { tell } from "./telling.js";

/** Runs an action without any lock, and says so. */
export async function runUncoordinated(action: GuardedAction, context: GuardContext): Promise<Result> {
  const { log, node, group, principal } = context;
  const { name, lock } = action;
  log.warn({ action: name }, "coordination is skipped: the action runs without any lock");
  const report = new RunReport(action, context, "wished");
  const launch: Launch = { env: environmentOf({ action: name, lock, node }, null), onGroup: () => undefined };
  const ran = await runCommand(action, context, launch);
  if (ran.lacksRoom) return { ...report.result("not-now", ran.message, null), coordinated: false };
  const end = ran.succeeded ? afterCheck(ran, await runCheck(action, context, launch)) : ran;
  const { exitCode, signal, message } = end;
  if (!end.succeeded) {
    log.error({ action: name, exitCode, signal }, `${name} failed: ${message}`);
    const owner = { node, group, principal, action: name };
    tell(context, "failed", { lock, claim: null, owner, failure: failureOf(end) });
  }
  return { ...report.result(end.succeeded ? "ran" : "failed", message, end), coordinated: false };
}
