// An action of mode `reboot`: its claim lies over the boot. The claim says that the machine is about to reboot before the command may
// run, so that no later run asks for that a second time. The states here ask and wait; what is left is judged before it is taken up.
import { areOfTwoBoots, type BootMoment, type Claim } from "../locks/claim.js";
import { formatDuration } from "../locks/durations.js";
import { ClaimLostError, UnreachableError } from "../locks/errors.js";
import type { GuardedAction } from "./action.js";
import { type ActionEnd, type CommandContext, NOTHING_RUN } from "./execution.js";
import type { Result } from "./result.js";
import { type At, type Held, over, type Run, type State } from "./run-states.js";
import { isDrained, type RebootLeft } from "./stages.js";

// A machine that takes longer to go down and to come up again is one to look at.
const DEFAULT_TIMEOUT_MS = 900_000;

// A machine that goes down ends all processes of a unit at once, and the command may be gone before this process hears of it.
const ENDED_FIRST_MS = 5_000;

/** How long a machine may take to come back. */
function rebootTimeoutMs({ timeoutMs }: GuardedAction): number {
  return timeoutMs ?? DEFAULT_TIMEOUT_MS;
}

/** Writes into the claim that the machine is about to reboot. @returns why the command must not run; `null` once the store has confirmed it */
export async function announceReboot({ action }: Run, held: Held): Promise<Error | null> {
  const stage = { name: "rebooting", forMs: rebootTimeoutMs(action), drained: isDrained(held) } as const;
  const noted = await held.claim.confirmStage(stage);
  if (noted.outcome === "done") return null;
  const why = `the machine was not asked to reboot: ${noted.why}`;
  return noted.outcome === "unreachable" ? new UnreachableError(why) : new ClaimLostError(why);
}

/** Rebooting: the machine was asked. It ends this process when it goes down; a process that is still there when the time is over has failed. */
export async function awaitReboot({ action, context, report }: Run, { held, ran }: At<"rebooting">): Promise<State> {
  const gone = await rebootsInTime(action, ran, context);
  if (gone === null) return over(report.result("rebooting", ASKED, ran));
  return { at: "failed", held, end: gone, isAfterOver: false };
}

const ASKED = "the machine was asked to reboot; holdline resume goes on when it is back";

/**
 * Waits for the end of this process, which a machine asks for that goes down.
 * @param ran how the command has ended
 * @returns `null` once it is asked for; else what has failed
 */
export async function rebootsInTime(action: GuardedAction, ran: ActionEnd, context: CommandContext): Promise<ActionEnd | null> {
  const { signal } = context.stop;
  const { clock } = context.machine;
  const timeoutMs = rebootTimeoutMs(action);
  const isEnded = !ran.succeeded && ran.signal !== null;
  if (!signal.aborted && (ran.succeeded || isEnded)) {
    if (ran.succeeded)
      context.progress.step(`the machine was asked to reboot, and has ${formatDuration(timeoutMs)} for it`, {
        action: action.name,
      });
    try {
      await clock.sleep(isEnded ? ENDED_FIRST_MS : Math.max(0, timeoutMs - ran.ranMs), signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
  // A command that a machine ends which goes down has done what it was for.
  if (signal.aborted) return null;
  return ran.succeeded ? { ...ran, ...notBack(timeoutMs) } : ran;
}

function notBack(timeoutMs: number): Pick<ActionEnd, "succeeded" | "exitCode" | "message"> {
  return { succeeded: false, exitCode: null, message: `the machine has not rebooted within ${formatDuration(timeoutMs)}` };
}

/** Whether the machine has booted since a moment. */
export function hasBooted(since: BootMoment | null, now: BootMoment): boolean {
  return since !== null && areOfTwoBoots(since, now);
}

/**
 * What came of a reboot that an earlier run may have asked for.
 * @throws UnreachableError when the store does not tell its time
 */
export async function judgeReboot({ action, context, coordinator, wish }: Run, leftover: Claim): Promise<RebootLeft> {
  const { stage, failure, made } = leftover;
  const isWished = wish === "wished";
  if (action.mode !== "reboot" || stage === undefined || (isWished && failure !== null)) return "not-asked";
  // It stands in this stage only since another boot.
  if (stage.name === "verifying") return "happened";
  if (stage.name !== "rebooting") return "not-asked";
  if (hasBooted(made, context.machine.processes.moment())) return "happened";
  if (failure !== null) return "failed";
  const { ms, errorMs } = await coordinator.sync(context.stop.signal);
  if (stage.until === null || ms - errorMs < stage.until) return "awaited";
  return isWished ? "not-asked" : "overdue";
}

/** Whether this is a claim of the action's under which this machine is about to reboot, by an agent that still lives. */
export function isAwaited({ action, perspective }: Run, claim: Claim): boolean {
  const { durable, owner, failure, stage } = claim;
  if (action.mode !== "reboot" || !durable || failure !== null || stage?.name !== "rebooting") return false;
  return owner.action === action.name && perspective.isMine(claim);
}

/** The result of a run that leaves a reboot to itself. */
export function leftToItself({ report }: Run, { id, failure }: Claim): Result {
  const message = failure === null ? ASKED : `${failure.message}; the machine is not asked again before the next run`;
  return { ...report.result(failure === null ? "rebooting" : "failed", message, null), claim: id };
}

/** The check decides whether a machine that is back is as it should be. */
export async function verifyReboot({ wish }: Run, held: Held, leftover: Claim): Promise<State> {
  const { stage, failure } = leftover;
  const tookMs = stage?.name === "rebooting" ? (await held.claim.earliestStoreMs()) - stage.since : 0;
  return {
    at: "verify",
    held,
    ran: { ...NOTHING_RUN, ranMs: Math.max(0, tookMs) },
    how: {
      // Nothing was wrong with a run that ended with its machine.
      event: failure === null ? "released" : "recovered",
      message: "the machine has rebooted",
      // It was another wish's.
      goesOn: wish === "wished",
    },
  };
}

/** A machine that did not go down in time. */
export function overdue(held: Held, { stage }: Claim): State {
  const timeoutMs = stage?.until == null ? DEFAULT_TIMEOUT_MS : stage.until - stage.since;
  return { at: "failed", held, end: { ...NOTHING_RUN, ...notBack(timeoutMs) }, isAfterOver: false };
}
