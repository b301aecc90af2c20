// `holdline nodes`: shows the nodes that the store knows, and what became last of each of their actions; or forgets one.
import { readLabel } from "../../config/field.js";
import { HoldlineError } from "../../locks/errors.js";
import { quoted } from "../../locks/text.js";
import { nodeAsJson, nodesAsJson } from "../../views/fleet.js";
import { forgetNode, readNodes } from "../../views/nodes.js";
import type { Command } from "../command.js";
import type { Context } from "../context.js";
import { EXIT_NOTHING_THERE } from "../exit-codes.js";
import { renderNodes } from "../fleet-listing.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { sanitize } from "../render.js";
import { viewOf } from "../table.js";

export const nodes: Command = {
  async run(context, { options }) {
    const group = readOption(options, "group", readLabel, null);
    const forgotten = readOption(options, "forget", readLabel, null);
    if (forgotten !== null && group !== null) throw new HoldlineError("usage", "--forget and --group exclude each other");
    if (forgotten !== null) return forget(context, forgotten);
    const { nodes: seen, now } = await readNodes(context, group, context.stop.signal);
    if (context.json) printDocument(context.io, nodesAsJson(seen));
    else if (seen.length > 0) printLines(context.io, renderNodes(seen, now.ms, viewOf(context)));
    else
      printLines(context.io, [group === null ? "no node has been seen" : `no node of the group ${sanitize(group)} has been seen`]);
    return group !== null && seen.length === 0 ? EXIT_NOTHING_THERE : 0;
  },
};

async function forget(context: Context, name: string): Promise<number> {
  const { settings, log, io, stop } = context;
  const node = await forgetNode(context, name, stop.signal);
  if (node === null)
    throw new HoldlineError("nothing-there", `no node ${quoted(name)} is known`, { hint: "holdline nodes shows those that are" });
  log.debug({ node: name, by: settings.principal }, `the node ${name} was forgotten`);
  if (context.json) printDocument(io, { forgotten: nodeAsJson(node) });
  else printLines(io, [`forgot ${sanitize(name)}: it counts again once it runs something`]);
  return 0;
}
