// `holdline acquire`: a lease on a lock, until it is released or its time is over.
import { readDurationOrNoneMs, readLabel, readSlots } from "../../config/field.js";
import type { LeaseRequest } from "../../leases/lease.js";
import { acquireLease } from "../../leases/lease.js";
import type { Claim } from "../../locks/claim.js";
import type { Coordinator } from "../../locks/coordinator.js";
import { ClaimLostError, messageOf, UnreachableError } from "../../locks/errors.js";
import { readHolders } from "../../line/holders.js";
import { defaultSlots } from "../../locks/rule.js";
import type { Command, Invocation } from "../command.js";
import { warnOfSkipCoordination } from "../coordinated.js";
import { readDataOption } from "../data-option.js";
import { exitCodeOfAcquired } from "../exit-codes.js";
import { handOver, leaseAsJson, readLock, readTtl, tellHeld } from "../leases.js";
import type { NamedLock } from "../leases.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";

export const acquire: Command = {
  async run(context, invocation) {
    const named = readLock(context, invocation);
    const request = await parseAcquire(invocation, named);
    warnOfSkipCoordination(context, named.lock);
    const leases = await context.leases(named.lock);
    const { coordinator } = leases;
    const acquired = await acquireLease(request, leases);
    if (acquired.outcome === "held") await tellHeld(context, coordinator, acquired, request.waitMs);
    else if (!context.json) printLines(context.io, [acquired.lease.id]);
    else printDocument(context.io, leaseAsJson(await readBack(coordinator, named.lock, acquired.lease.id), context));
    if (acquired.outcome === "acquired") await handOver(context, coordinator, acquired.lease, request.principal);
    return exitCodeOfAcquired(acquired);
  },
};

/** @throws HoldlineError `usage` for what cannot be */
export async function parseAcquire({ options }: Invocation, named: NamedLock): Promise<LeaseRequest> {
  const key = readOption(options, "key", readLabel, null);
  return {
    locks: [named.lock],
    type: "lease",
    key,
    slots: readOption(options, "slots", readSlots, defaultSlots(key)),
    principal: named.principal,
    caller: null,
    path: null,
    reason: readOption(options, "reason", readLabel, null),
    data: await readDataOption(options, "data"),
    ttlMs: readTtl(options, named),
    waitMs: readOption(options, "wait", (field) => readDurationOrNoneMs(field, { zero: true }), 0),
    alone: false,
  };
}

/** The lease as it stands in the queue. It is in hand by now, so that nothing may end this but its being told. */
async function readBack(coordinator: Coordinator, lock: string, id: string): Promise<Claim> {
  let holders: readonly Claim[];
  try {
    holders = await readHolders(coordinator, lock);
  } catch (error) {
    throw new UnreachableError(`the lease ${id} on ${lock} was acquired, but could not be read back: ${messageOf(error)}`, {
      hint: `to let go of it: holdline release ${lock} ${id}`,
      cause: error,
    });
  }
  const claim = holders.find((holder) => holder.id === id);
  if (claim !== undefined) return claim;
  throw new ClaimLostError(`the lease ${id} on ${lock} was acquired, and ended by somebody else at once`);
}
