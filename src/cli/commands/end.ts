// `holdline end`: ends what `holdline begin` has begun.
import { readLabel } from "../../config/field.js";
import { HoldlineError } from "../../locks/errors.js";
import type { Command } from "../command.js";
import { exitCodeOfResults } from "../exit-codes.js";
import { readOption } from "../options.js";
import { printResults } from "../results.js";
import { actionNamed } from "./run.js";

export const end: Command = {
  async run(context, { args, options }) {
    const action = actionNamed(context.settings, args);
    const message = readOption(options, "message", readLabel, null);
    const hasFailed = options["failed"] === true;
    if (message !== null && !hasFailed) throw new HoldlineError("usage", "--message says what has failed: give it with --failed");
    const result = await (await context.agent()).end(action, hasFailed ? (message ?? "its caller says that it has failed") : null);
    printResults(context, [result], "");
    return exitCodeOfResults([result]);
  },
};
