// `holdline renew`: starts a lease's time anew.
import { renewLease } from "../../leases/lease.js";
import type { Command } from "../command.js";
import { exitCodeOfRenewed } from "../exit-codes.js";
import { paintFor } from "../io.js";
import { printLease, readClaimId, readLock, readTtl } from "../leases.js";
import { printDocument } from "../output.js";
import { sanitize } from "../render.js";

export const renew: Command = {
  async run(context, invocation) {
    const named = readLock(context, invocation);
    const id = readClaimId(invocation);
    const ttlMs = readTtl(invocation.options, named);
    const { io, json } = context;
    const { lock, principal } = named;
    const asking = { by: principal, force: invocation.options["force"] === true, signal: context.stop.signal };
    const renewed = await renewLease(await context.coordinator(lock), lock, id, { ttlMs, ...asking });
    if (renewed.outcome === "expired") {
      const message = `the lease ${id} on ${lock} has expired or was released`;
      const hint = `take a new one with: holdline acquire ${lock}`;
      if (json) printDocument(io, { error: { code: "expired", message, hint } });
      io.stderr.write(`${paintFor(io, "stderr")("red", `holdline: ${sanitize(message)}`)}\n  ${sanitize(hint)}\n`);
    } else if (json) {
      printLease(context, renewed.claim);
    }
    return exitCodeOfRenewed(renewed);
  },
};
