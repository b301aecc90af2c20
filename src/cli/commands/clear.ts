// `holdline clear`: an admin ends a claim that nobody else will. Owns which claim is meant and whether it may be ended;
// that the owner is told, and that nothing but what was looked at is ended, is the coordinator's doing.
import { readLabel } from "../../config/field.js";
import type { Claim } from "../../locks/claim.js";
import type { Coordinator, Entry } from "../../locks/coordinator.js";
import { HoldlineError } from "../../locks/errors.js";
import { parseLockName } from "../../locks/names.js";
import { claimAsJson, stateOf } from "../claims.js";
import type { LockState, StandingClaim } from "../claims.js";
import type { Command, Context, Invocation } from "../context.js";
import { describeClaim } from "../listing.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { readPresentQueues } from "../queues.js";
import { sanitize } from "../render.js";

interface ClearRequest {
  readonly lock: string;
  readonly claim: string | null;
  readonly reason: string;
  readonly force: boolean;
}

// A claim that is in several queues may leave one of them while it is being ended; a second look settles that.
const MOST_LOOKS = 3;

export const clear: Command = {
  async run(context, invocation) {
    const request = parseClear(invocation);
    const { signal } = context.stop;
    const coordinator = await context.coordinator(request.lock);
    let isSecondLook = false;
    for (let look = 1; look <= MOST_LOOKS; look += 1) {
      const [queue = []] = await readPresentQueues(coordinator, [request.lock], context.settings.principal, signal);
      const now = await coordinator.now(signal);
      const state = stateOf(request.lock, queue, (claim) => context.ownerGone(claim));
      const chosen = chooseClaim(state, request, now, isSecondLook);
      const entries = await entriesOf(coordinator, chosen.claim, signal);
      const ended = await end(context, coordinator, chosen, entries, request);
      if (ended === "done") {
        tell(context, chosen, entries, request, now);
        return 0;
      }
      if (ended === "changed") throw await changedMeanwhile(context, coordinator, chosen.claim, request.lock);
      isSecondLook = true;
    }
    throw new HoldlineError("conflict", `the claim on ${request.lock} changes too often to be cleared; nothing was cleared`, {
      hint: "try again",
    });
  },
};

/** @throws HoldlineError `usage` */
export function parseClear({ args, options }: Invocation): ClearRequest {
  return {
    lock: parseLockName(args[0]),
    claim: readOption(options, "claim", readLabel, null),
    reason: readOption(options, "reason", readReason, ""),
    force: options["force"] === true,
  };
}

function readReason(field: Parameters<typeof readLabel>[0]): string | undefined {
  return String(field.value).trim() === "" ? field.refuse("must say why: it is what the history will show") : readLabel(field);
}

/**
 * The claim that is meant.
 * @param isSecondLook it was there at the first look, so that it has ended by itself if it is not there now
 * @throws HoldlineError `nothing-there`, `usage` when it is not said which, `not-allowed` when it must be forced
 */
export function chooseClaim({ lock, claims }: LockState, request: ClearRequest, now: number, isSecondLook = false): StandingClaim {
  const durable = claims.filter(({ claim }) => claim.durable);
  const candidates = request.claim === null ? durable : claims.filter(({ claim }) => claim.id === request.claim);
  const [chosen, another] = candidates;
  if (chosen === undefined) throw nothingToClear(lock, claims, request, isSecondLook);
  if (another !== undefined) {
    const listed = candidates.map((candidate) => describeClaim(candidate, now)).join("\n");
    throw new HoldlineError("usage", `there are ${candidates.length} durable claims on ${lock}: say which with --claim ID`, {
      hint: listed,
    });
  }
  if (!request.force) refuseIfAlive(chosen, now);
  return chosen;
}

function nothingToClear(
  lock: string,
  claims: readonly StandingClaim[],
  { claim }: ClearRequest,
  isSecondLook: boolean,
): HoldlineError {
  if (isSecondLook)
    return new HoldlineError("nothing-there", `the claim on ${lock} ended by itself meanwhile; nothing was cleared`);
  if (claim !== null)
    return new HoldlineError("nothing-there", `there is no claim ${claim} on ${lock}`, {
      hint: `holdline locks ${lock} shows who is there`,
    });
  if (claims.length === 0)
    return new HoldlineError("nothing-there", `there is nothing to clear: nobody holds or waits for ${lock}`);
  return new HoldlineError(
    "nothing-there",
    `there is nothing to clear on ${lock}: its claims are ephemeral, and end with their processes`,
    {
      hint: "to withdraw one all the same, name it with --claim ID and add --force",
    },
  );
}

function refuseIfAlive(chosen: StandingClaim, now: number): void {
  const { claim, held, condition } = chosen;
  if (!claim.durable) {
    const what = held ? "is ephemeral" : "waits, and is ephemeral";
    throw new HoldlineError("not-allowed", `the claim ${what}: it ends with its process (${describeClaim(chosen, now)})`, {
      hint: "end that process instead; --force withdraws the claim all the same",
    });
  }
  if (condition !== "running" && condition !== "waiting") return;
  throw new HoldlineError("not-allowed", `the claim's owner is running (${describeClaim(chosen, now)})`, {
    hint: "--force clears it all the same: the command goes on, and another node may begin beside it",
  });
}

/** Everything that is one with the claim: its entries in all the queues in which it stands. */
async function entriesOf(coordinator: Coordinator, claim: Claim, signal: AbortSignal): Promise<readonly Claim[]> {
  // A contender of another program's is known by its entry's name alone, which may be another's in another queue.
  if (claim.id === claim.ref) return [claim];
  return [claim, ...(await coordinator.find(claim.id, signal)).filter(({ lock }) => lock !== claim.lock)];
}

async function end(
  context: Context,
  coordinator: Coordinator,
  { claim }: StandingClaim,
  entries: readonly Entry[],
  { reason }: ClearRequest,
) {
  if (claim.durable)
    return coordinator.leave(claim.id, entries, { event: "cleared", by: context.settings.principal, reason }, context.stop.signal);
  await coordinator.withdraw(entries);
  return "done";
}

async function changedMeanwhile(context: Context, coordinator: Coordinator, { id }: Claim, lock: string): Promise<HoldlineError> {
  const { signal } = context.stop;
  const { claims } = stateOf(lock, await coordinator.queue(lock, signal), (claim) => context.ownerGone(claim));
  const changed = claims.find(({ claim }) => claim.id === id);
  if (changed === undefined)
    return new HoldlineError("nothing-there", `the claim on ${lock} ended by itself meanwhile; nothing was cleared`);
  const words = describeClaim(changed, await coordinator.now(signal));
  return new HoldlineError("conflict", `the claim on ${lock} changed while it was being cleared; nothing was cleared`, {
    hint: `it is now: ${words}`,
  });
}

function tell(context: Context, chosen: StandingClaim, entries: readonly Claim[], request: ClearRequest, now: number): void {
  const { claim } = chosen;
  if (context.json) {
    printDocument(context.io, { cleared: entries.map(({ lock }) => ({ lock, ...claimAsJson(chosen) })) });
    return;
  }
  const what = claim.durable ? "cleared" : "withdrew";
  const lines = [`${what} the claim on ${entries.map(({ lock }) => sanitize(lock)).join(", ")}: ${describeClaim(chosen, now)}`];
  lines.push(
    claim.durable ? `the history says: ${sanitize(request.reason)}` : "an ephemeral claim leaves no record in the history",
  );
  if (chosen.condition === "running") lines.push("its owner is still running; it is told at its next step");
  printLines(context.io, lines);
}
