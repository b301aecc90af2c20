// `holdline locks`: shows what is frozen, who holds and who waits, since when and why; once, or whenever something changes.
import { parseLockName } from "../../locks/names.js";
import { locksAsJson } from "../../views/json.js";
import type { Command } from "../command.js";
import { EXIT_NOTHING_THERE } from "../exit-codes.js";
import { renderFreezes } from "../freezes.js";
import { renderListing } from "../listing.js";
import { printDocument, printLines } from "../output.js";
import { readAllFreezes } from "../../views/freezes.js";
import { readLocks } from "../../views/queues.js";
import { viewOf } from "../table.js";

export const locks: Command = {
  async run(context, { args, options }) {
    const only = args[0] === undefined ? null : parseLockName(args[0]);
    if (options["watch"] === true) return (await import("../locks-watch.js")).watchLocks(context, only);
    const { signal } = context.stop;
    const [seen, freezes] = await Promise.all([readLocks(context, only, signal), readAllFreezes(context, only, signal)]);
    const view = viewOf(context);
    if (context.json) printDocument(context.io, locksAsJson(seen, freezes));
    else printLines(context.io, [...renderFreezes(freezes, view), ...renderListing(seen, only, view)]);
    return only !== null && seen.length === 0 ? EXIT_NOTHING_THERE : 0;
  },
};
