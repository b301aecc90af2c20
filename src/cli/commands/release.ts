// `holdline release`: ends a lease. If it is already gone, that is fine.
import { releaseLease } from "../../leases/lease.js";
import type { Command } from "../command.js";
import { exitCodeOfReleased } from "../exit-codes.js";
import { readClaimId, readLock } from "../leases.js";
import { printDocument } from "../output.js";

export const release: Command = {
  async run(context, invocation) {
    const { lock, principal } = readLock(context, invocation);
    const id = readClaimId(invocation);
    const ending = { by: principal, reason: null, force: invocation.options["force"] === true, signal: context.stop.signal };
    const released = await releaseLease(await context.coordinator(lock), lock, id, ending);
    if (context.json) printDocument(context.io, { released: released === "released" });
    if (released === "gone") context.log.warn({ lock, claim: id }, `there was no lease ${id} on ${lock}: nothing was released`);
    return exitCodeOfReleased(released);
  },
};
