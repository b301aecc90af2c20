// `holdline resume`: finishes what earlier runs left on this node, and nothing else.
import type { Command } from "../context.js";
import { exitCodeOfResults } from "../exit-codes.js";
import { printResults } from "../results.js";

export const resume: Command = {
  async run(context) {
    const { results, undeclared } = await (await context.agent()).resumeActions(context);
    const none =
      undeclared.length === 0
        ? "nothing was left to be finished on this node"
        : `nothing was finished: what was left belongs to actions that are no longer declared (${undeclared.join(", ")})`;
    printResults(context, results, none);
    return exitCodeOfResults(results);
  },
};
