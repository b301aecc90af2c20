// `holdline freeze`: keeps everything that it names from beginning, until it is thawed or its time is over. leases/freezing.ts does it.
import { randomUUID } from "node:crypto";
import { type Field, readDurationMs, readLabel } from "../../config/field.js";
import { readGiven } from "../../config/given.js";
import { freezeEverywhere, type FreezeRequest } from "../../leases/freezing.js";
import { parseLockPattern } from "../../locks/names.js";
import { freezeAsJson } from "../../views/json.js";
import { storesMatching } from "../../views/stores.js";
import type { Command, Invocation } from "../command.js";
import type { Context } from "../context.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";

export const freeze: Command = {
  async run(context, invocation) {
    const request = parseFreeze(invocation);
    const places = storesMatching(context, request.locks);
    const frozen = await freezeEverywhere(places, request, freezerOf(context));
    context.notifier.tell({ event: "frozen", freeze: frozen, by: frozen.by });
    if (context.json) printDocument(context.io, { freezes: [freezeAsJson(frozen)] });
    else printLines(context.io, [frozen.id]);
    return 0;
  },
};

/** Who freezes and thaws, on the command line. */
export function freezerOf({ settings: { node, group, principal }, stop }: Pick<Context, "settings" | "stop">) {
  return { owner: { node, group, principal, action: null, process: null }, signal: stop.signal };
}

/** @throws HoldlineError `usage` */
export function parseFreeze({ args, options }: Invocation): FreezeRequest {
  return {
    id: randomUUID(),
    locks: args.length === 0 ? ["*"] : [...new Set(args.map(parseLockPattern))],
    node: readOption(options, "node", readLabel, null),
    group: readOption(options, "group", readLabel, null),
    reason: readGiven(options["reason"], "--reason", readReason),
    forMs: readOption(options, "for", (field) => readDurationMs(field, { most: Number.MAX_SAFE_INTEGER }), null),
  };
}

function readReason(field: Field): string | undefined {
  return String(field.value).trim() === ""
    ? field.refuse("must not be empty: whoever is kept waiting wants to know")
    : readLabel(field);
}
