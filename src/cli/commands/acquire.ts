// `holdline acquire`: takes a lease on a lock, until it is released or expires.
import { readDurationOrNoneMs, readLabel, readSlots } from "../../config/field.js";
import type { LeaseRequest } from "../../leases/request.js";
import { acquireLease } from "../../leases/acquiring.js";
import { defaultSlots } from "../../locks/rule.js";
import type { Command, Invocation } from "../command.js";
import { warnOfSkipCoordination } from "../coordinated.js";
import { readDataOption } from "../data-option.js";
import { exitCodeOfAcquired } from "../exit-codes.js";
import { handOver, printLease, readDespiteFreeze, readLock, readTtl, tellFrozen, tellHeld } from "../leases.js";
import type { NamedLock } from "../leases.js";
import { readOption } from "../options.js";
import { printLines } from "../output.js";

export const acquire: Command = {
  async run(context, invocation) {
    const named = readLock(context, invocation);
    const request = await parseAcquire(invocation, named);
    warnOfSkipCoordination(context, named.lock);
    const leases = await context.leases(named.lock);
    const { coordinator } = leases;
    const acquired = await acquireLease(request, leases);
    if (acquired.outcome === "held") await tellHeld(context, coordinator, acquired, request.waitMs);
    else if (acquired.outcome === "frozen") tellFrozen(context, acquired);
    else if (!context.json) printLines(context.io, [acquired.lease.id]);
    else printLease(context, acquired.claim);
    if (acquired.outcome === "acquired") await handOver(context, coordinator, acquired.lease, request.principal);
    return exitCodeOfAcquired(acquired);
  },
};

/** @throws HoldlineError `usage` */
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
    despiteFreeze: readDespiteFreeze(options, "reason"),
  };
}
