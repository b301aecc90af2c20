// Work that its caller does itself, between `begin` and `end`, under the same guarantee. `begin` leaves the claim open, with the caller's
// process as its owner; `end` takes it up, wherever that process is by then, and does what is left.
import type { Claim, ClaimRecord, Stage } from "../locks/claim.js";
import { ClaimLostError, HoldlineError, UnreachableError } from "../locks/errors.js";
import { readHolders } from "../line/holders.js";
import { createProcessSight } from "../line/process-sight.js";
import { identityOf } from "../proc.js";
import { DurableClaim, stageAt } from "./durable-claim.js";
import { NOTHING_RUN } from "./execution.js";
import type { Caller, Held, Run, State } from "./run-states.js";
import { isDrained } from "./stages.js";

/** @throws HoldlineError `usage` where no such process runs */
export function callerOf(pid: number | null): Caller {
  if (pid === null) return { process: null };
  const process = identityOf(pid);
  if (createProcessSight().isAlive(process) !== false) return { process };
  throw new HoldlineError("usage", `--pid names a process that does not run here: ${pid}`, {
    hint: "the process that does the work has to run until holdline end: --pid $$ in a shell script; or --detached without any",
  });
}

/** Why nobody is there any more to do the work; `null` where somebody may be. A turn, and a drained node, can be long in coming. */
export function callerGone({ action, context }: Run, { process }: Caller): Error | null {
  if (process === null || context.machine.processes.isAlive(process) !== false) return null;
  return new HoldlineError(
    "usage",
    `the process ${process.pid} has ended, for which ${action.name} was to begin: it was not begun`,
  );
}

/** Leaves a claim to its caller. @returns why that could not be; `null` once the store has confirmed it */
export async function openForCaller(run: Run, { claim, ...held }: Held, caller: Caller): Promise<Error | null> {
  const { owner, notes } = run;
  const gone = callerGone(run, caller);
  if (gone !== null) return gone;
  const drained = isDrained({ claim, ...held });
  const opened = await claim.confirmStage({ name: "open", forMs: null, drained }, { ...owner, process: caller.process });
  if (opened.outcome === "unreachable") return new UnreachableError(opened.why);
  if (opened.outcome === "lost") return new ClaimLostError(opened.why);
  await notes.forget(claim);
  return null;
}

/** From here on it is this process that checks, and no second `end` does so beside it. */
async function checking({ coordinator, context }: Run, { drained }: Stage): Promise<Stage> {
  return stageAt((await coordinator.sync(context.stop.signal)).ms, { name: "verifying", forMs: null, drained });
}

/**
 * Takes up the action's open claim. A claim whose `end` was killed in its check counts as open yet.
 * @param failed why the work has failed, in words; `null` where it is done
 * @throws HoldlineError `nothing-there` where there is none
 */
export async function takeUpOpen(run: Run, failed: string | null): Promise<State> {
  const { action, context, coordinator, perspective, owner, report, nodeReport } = run;
  const { machine, releaseTimeoutMs, stop } = context;
  const isOpen = (claim: Claim): boolean => {
    const { durable, failure, stage } = claim;
    if (!durable || failure !== null || claim.owner.action !== action.name || !perspective.isMine(claim)) return false;
    return stage?.name === "open" || (stage?.name === "verifying" && perspective.isOwnerGone(claim));
  };
  for (;;) {
    const open = (await readHolders(coordinator, action.lock, stop.signal)).find(isOpen);
    if (open === undefined) {
      throw new HoldlineError("nothing-there", `${action.name} has no open claim on ${action.lock} by this node`, {
        hint: `holdline begin ${action.name} opens one; holdline locks ${action.lock} shows who holds it`,
      });
    }
    const { key, slots, made, lease, expiresAt, reason, data, failure, stage, percent } = open;
    const record: ClaimRecord = {
      ...{ owner, key, slots, made, lease, expiresAt, reason, data, failure },
      ...(stage === undefined ? {} : { stage: failed === null ? await checking(run, stage) : stage }),
      ...(percent === undefined ? {} : { percent }),
    };
    const settled = await coordinator.adopt(open.id, [open], record);
    // Somebody has written to it since it was read.
    if (typeof settled === "string") continue;
    nodeReport.prepare(null);
    const taken = { id: open.id, lock: open.lock, settled, record };
    const claim = new DurableClaim(coordinator, taken, { clock: machine.clock, releaseTimeoutMs });
    report.claim = claim;
    const held: Held = { claim, endsAs: "released", leftover: null, staysDrained: false };
    if (failed === null) return { at: "verify", held, ran: NOTHING_RUN };
    const end = { ...NOTHING_RUN, succeeded: false, exitCode: null, message: failed };
    return { at: "failed", held, end, isAfterOver: false };
  }
}
