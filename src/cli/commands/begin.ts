// `holdline begin`: has the lock of an action taken, and leaves the work to the caller.
import { type Field, readWhole } from "../../config/field.js";
import { HoldlineError } from "../../locks/errors.js";
import type { Command, Invocation } from "../command.js";
import { exitCodeOfResults, EXIT_NOTHING_THERE } from "../exit-codes.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { renderResult } from "../results.js";
import { actionNamed, ordersOf } from "./run.js";

export const begin: Command = {
  async run(context, { args, options }) {
    const action = actionNamed(context.settings, args);
    const { force, despiteFreeze, reason } = ordersOf(options);
    const pid = pidOf(options);
    const result = await (await context.agent()).begin(action, { force, despiteFreeze, reason }, pid);
    if (context.json) printDocument(context.io, { results: [result] });
    else if (result.outcome === "begun") printLines(context.io, [result.claim ?? ""]);
    // Standard output belongs to the id.
    else
      context.log.warn(
        { action: action.name, lock: action.lock },
        renderResult(result, (_, text) => text),
      );
    // Nothing to do is good news, and yet a script must not go on as if it had the lock.
    return result.outcome === "begun" ? 0 : exitCodeOfResults([result]) || EXIT_NOTHING_THERE;
  },
};

/** The process that is to do the work; `null`: none in particular. */
function pidOf(options: Invocation["options"]): number | null {
  const given = readOption(options, "pid", readPid, null);
  if (options["detached"] !== true) return given ?? process.ppid;
  if (given === null) return null;
  throw new HoldlineError("usage", "--detached says that no process does the work: give --pid or --detached, not both");
}

// As the kernel has it.
const LARGEST_PID = 4_194_304;

function readPid(field: Field): number | undefined {
  return readWhole(field, 1, LARGEST_PID);
}
