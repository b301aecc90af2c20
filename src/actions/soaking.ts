// The soak: for some time after an action has succeeded its check goes on, before the next node may go. Knows no claim.
import type { GuardedAction } from "./action.js";
import { type ActionEnd, type CommandContext, type Launch, runCheck } from "./execution.js";

/** How a soak ended. `stopped`: this process was asked to end before the time was over. */
export type SoakEnd = { readonly outcome: "over" | "stopped" } | { readonly outcome: "failed"; readonly end: ActionEnd };

/**
 * Waits, and checks again and again meanwhile. A check that does not pass is tried until the time of `verify` is over, and has failed
 * only then. It is over only after a check that has passed: the latest one of a run that was left may have failed.
 * @param leftMs how long it still takes; 0: it has lasted long enough
 */
export async function soak(action: GuardedAction, leftMs: number, context: CommandContext, launch: Launch): Promise<SoakEnd> {
  const { clock } = context.machine;
  const { signal } = context.stop;
  const { verify } = action;
  const once: GuardedAction = { ...action, verify: verify === null ? null : { ...verify, passes: 1 } };
  const deadline = clock.now() + leftMs;
  for (let isFirst = true; ; isFirst = false) {
    if (signal.aborted) return { outcome: "stopped" };
    const restMs = Math.max(0, deadline - clock.now());
    if (restMs === 0 && !isFirst) return { outcome: "over" };
    try {
      await clock.sleep(Math.min(restMs, verify?.intervalMs ?? restMs), signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      return { outcome: "stopped" };
    }
    const checked = await runCheck(once, context, { ...launch, isQuiet: true });
    if (checked.succeeded) continue;
    // The stop request may have ended the check as well, and says nothing of the service.
    if (signal.aborted) return { outcome: "stopped" };
    return { outcome: "failed", end: { ...checked, message: `while it soaked, ${checked.message}` } };
  }
}
