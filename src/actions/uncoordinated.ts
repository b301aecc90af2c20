// An action without its lock, as `skip_coordination` has it: the hooks, the command, the check and the soak, and nothing else.
import { environmentOf } from "../line/environment.js";
import type { GuardedAction } from "./action.js";
import type { GuardContext } from "./context.js";
import {
  type ActionEnd,
  afterCheck,
  failureOf,
  type Launch,
  type OutcomeForAfter,
  runAfter,
  runBefore,
  runCheck,
  runCommand,
} from "./execution.js";
import { firstShut, type Orders, resultOf } from "./gating.js";
import { rebootsInTime } from "./reboot-states.js";
import type { Result } from "./result.js";
import { RunReport } from "./run-report.js";
import { soak } from "./soaking.js";
import { tell } from "./telling.js";

/** Runs an action without any lock, and says so. Its gates are asked once, without freezes: no store is open. */
export async function runUncoordinated(action: GuardedAction, context: GuardContext, orders: Orders): Promise<Result> {
  const { log, node, group, principal } = context;
  const { name, lock } = action;
  log.warn({ action: name }, "coordination is skipped: the action runs without any lock");
  const report = new RunReport(action, context, "wished");
  const shut = await firstShut({ action, context, orders, coordinator: null, isDry: false });
  if (shut !== null) return { ...resultOf(shut, { action, context }, report), coordinated: false };
  const launch: Launch = { env: environmentOf({ action: name, lock, node }, null), onGroup: () => undefined };
  const end = await work(action, context, launch);
  if (end === "rebooting") return { ...report.result(end, "the machine was asked to reboot", null), coordinated: false };
  if (end.saysNotNow || end.lacksRoom) return { ...report.result("not-now", end.message, null), coordinated: false };
  const { exitCode, signal, message } = end;
  if (!end.succeeded) {
    log.error({ action: name, exitCode, signal }, `${name} failed: ${message}`);
    const owner = { node, group, principal, action: name };
    tell(context, "failed", { lock, claim: null, owner, failure: failureOf(end) });
  }
  return { ...report.result(end.succeeded ? "ran" : "failed", message, end), coordinated: false };
}

/** From `before` to the end of the soak, or to the machine's; after a failure or a "not now" as much of `after` as is owed. */
async function work(action: GuardedAction, context: GuardContext, launch: Launch): Promise<ActionEnd | "rebooting"> {
  const after = (outcome: OutcomeForAfter) => runAfter(action, outcome, context, launch);
  const drained = await runBefore(action, context, launch);
  const isDrained = action.before !== null && drained.began;
  let ran = drained.succeeded ? await runCommand(action, context, launch) : drained;
  if (action.mode === "reboot" && ran.began && !ran.saysNotNow) {
    const failed = await rebootsInTime(action, ran, context);
    if (failed === null) return "rebooting";
    ran = failed;
  }
  const end = ran.succeeded ? afterCheck(ran, await runCheck(action, context, launch)) : ran;
  if (end.succeeded) {
    const undrained = afterCheck(end, await after("ran"));
    if (!undrained.succeeded) return undrained;
    const soaked = await soak(action, action.soakMs, context, launch);
    return soaked.outcome === "failed" ? afterCheck(undrained, soaked.end) : end;
  }
  const isNotNow = end.saysNotNow || end.lacksRoom;
  const isOwed = (isDrained && (isNotNow || !drained.succeeded)) || (!isNotNow && action.after?.when === "always");
  const undone = isOwed ? await after(isNotNow ? "not-now" : "failed") : null;
  if (undone === null || undone.succeeded) return end;
  return isNotNow ? undone : { ...end, message: `${end.message}; ${undone.message}` };
}
