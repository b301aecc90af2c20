// `holdline resume`: finishes what earlier runs left on this node, and nothing else.
import type { Command } from "../context.js";
import { exitCodeOfResults } from "../exit-codes.js";
import { printResults } from "../results.js";

export const resume: Command = {
  async run(context) {
    const results = await (await context.agent()).resumeActions(context);
    printResults(context, results, "nothing was left to be finished on this node");
    return exitCodeOfResults(results);
  },
};
