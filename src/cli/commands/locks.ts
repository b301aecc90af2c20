// `holdline locks`: shows who holds and who waits, since when and why; once, or whenever something changes.
import { parseLockName } from "../../locks/names.js";
import { locksAsJson } from "../../views/json.js";
import type { Command } from "../command.js";
import { EXIT_NOTHING_THERE } from "../exit-codes.js";
import { renderListing } from "../listing.js";
import { printDocument, printLines } from "../output.js";
import { readLocks } from "../../views/queues.js";
import { viewOf } from "../table.js";

export const locks: Command = {
  async run(context, { args, options }) {
    const only = args[0] === undefined ? null : parseLockName(args[0]);
    if (options["watch"] === true) return (await import("../locks-watch.js")).watchLocks(context, only);
    const seen = await readLocks(context, only, context.stop.signal);
    if (context.json) printDocument(context.io, locksAsJson(seen));
    else printLines(context.io, renderListing(seen, only, viewOf(context)));
    return only !== null && seen.length === 0 ? EXIT_NOTHING_THERE : 0;
  },
};
