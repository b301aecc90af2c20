// `holdline is-held`: says by its exit code whether a claim holds its lock.
import { isLeaseHeld } from "../../leases/lease.js";
import { parseAnyClaimId } from "../../locks/ids.js";
import type { Command } from "../command.js";
import { EXIT_NOTHING_THERE } from "../exit-codes.js";
import { readClaimId, readLock } from "../leases.js";
import { printDocument } from "../output.js";

export const isHeld: Command = {
  async run(context, invocation) {
    const { lock } = readLock(context, invocation);
    const id = readClaimId(invocation, parseAnyClaimId);
    const { signal } = context.stop;
    const held = await isLeaseHeld(await context.coordinator(lock), lock, id, signal);
    if (context.json) printDocument(context.io, { held });
    return held ? 0 : EXIT_NOTHING_THERE;
  },
};
