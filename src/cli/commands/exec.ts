// `holdline exec`: runs any command under a lock, and ends with the command's exit code.
import type { ExecSpec } from "../../actions/exec.js";
import { readDurationOrNoneMs, readLabel, readSlots } from "../../config/field.js";
import type { Settings } from "../../config/settings.js";
import { HoldlineError } from "../../locks/errors.js";
import { parseLockName } from "../../locks/names.js";
import { defaultSlots } from "../../locks/rule.js";
import type { Command, Invocation } from "../command.js";
import { warnOfSkipCoordination } from "../coordinated.js";
import { readDataOption } from "../data-option.js";
import { exitCodeOfExec } from "../exit-codes.js";
import { paintFor } from "../io.js";
import { FROZEN_HINT } from "../leases.js";
import { readOption } from "../options.js";
import { printDocument } from "../output.js";
import { sanitize } from "../render.js";

export const exec: Command = {
  async run(context, invocation) {
    const spec = await parseExec(invocation, context.settings);
    warnOfSkipCoordination(context, spec.lock);
    const end = await (await context.agent()).exec(spec);
    // Standard output belongs to the command. Only if it did not run to its end do we print anything.
    const { outcome, message } = end;
    const hint = outcome === "frozen" ? FROZEN_HINT : null;
    if (context.json && outcome !== "ended") printDocument(context.io, { error: { code: outcome, message, hint } });
    if (message !== "") context.io.stderr.write(`${paintFor(context.io, "stderr")("red", `holdline: ${sanitize(message)}`)}\n`);
    if (hint !== null) context.io.stderr.write(`  ${hint}\n`);
    return exitCodeOfExec(end);
  },
};

/** @throws HoldlineError `usage` */
export async function parseExec({ args, rest, options }: Invocation, settings: Pick<Settings, "acquire">): Promise<ExecSpec> {
  const lock = parseLockName(args[0]);
  const argv = rest ?? [];
  if (argv[0] === undefined || argv[0] === "") throw new HoldlineError("usage", "the name of the command to run is empty");
  const key = readOption(options, "key", readLabel, null);
  if (options["wait"] !== undefined && options["timeout"] !== undefined)
    throw new HoldlineError("usage", "--wait and --timeout are two names of one option", { hint: "give one of them" });
  const wait = options["timeout"] === undefined ? "wait" : "timeout";
  return {
    lock,
    key,
    slots: readOption(options, "slots", readSlots, defaultSlots(key)),
    acquire: {
      ...settings.acquire,
      timeoutMs: readOption(options, wait, (field) => readDurationOrNoneMs(field, { zero: true }), settings.acquire.timeoutMs),
    },
    durable: options["durable"] === true,
    data: await readDataOption(options, "data"),
    despiteFreeze: readDespiteFreeze(options),
    argv,
  };
}

/** Why the command begins whatever is frozen; `null`: it heeds freezes. */
function readDespiteFreeze(options: Invocation["options"]): string | null {
  const reason = readOption(options, "reason", readLabel, null);
  if (options["despiteFreeze"] === true && reason !== null && options["durable"] !== true) return reason;
  if (options["despiteFreeze"] === true && options["durable"] === true)
    throw new HoldlineError("usage", "--despite-freeze and --durable exclude each other", {
      hint: "declare the command as an action: holdline run has both",
    });
  if (options["despiteFreeze"] === undefined && reason === null) return null;
  throw new HoldlineError("usage", "--despite-freeze and --reason belong together: others want to know why this could not wait");
}
