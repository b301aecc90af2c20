// `holdline locks`: who holds, who waits, since when, by whom and why.
import { parseLockName } from "../../locks/names.js";
import { lockAsJson, renderLocks, stateOf } from "../claims.js";
import type { Command } from "../context.js";
import { EXIT_NOTHING_THERE } from "../exit-codes.js";
import { paintFor } from "../io.js";
import { printDocument, printLines } from "../output.js";
import { readQueues } from "../queues.js";
import { sanitize } from "../render.js";

export const locks: Command = {
  async run(context, { args }) {
    const only = args[0] === undefined ? null : parseLockName(args[0]);
    const { signal } = context.stop;
    const coordinator = await context.coordinator();
    const names = only === null ? await coordinator.list(signal) : [only];
    const queues = await readQueues(coordinator, names, signal);
    const states = names
      .map((name, index) => stateOf(name, queues[index] ?? [], (claim) => context.ownerGone(claim)))
      // A queue may have emptied since the names were read.
      .filter(({ claims }) => claims.length > 0);
    if (context.json) printDocument(context.io, { locks: states.map(lockAsJson) });
    else if (states.length > 0)
      printLines(context.io, renderLocks(states, await coordinator.now(signal), paintFor(context.io, "stdout")));
    else
      printLines(context.io, [
        only === null ? "nobody holds or waits for any lock" : `nobody holds or waits for ${sanitize(only)}`,
      ]);
    return only !== null && states.length === 0 ? EXIT_NOTHING_THERE : 0;
  },
};
