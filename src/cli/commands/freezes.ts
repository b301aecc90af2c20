// `holdline freezes`: shows what is frozen, by whom, why and until when.
import { readAllFreezes } from "../../views/freezes.js";
import { freezesAsJson } from "../../views/json.js";
import type { Command } from "../command.js";
import { renderFreezes } from "../freezes.js";
import { printDocument, printLines } from "../output.js";
import { viewOf } from "../table.js";

export const freezes: Command = {
  async run(context) {
    const seen = await readAllFreezes(context, null, context.stop.signal);
    const lines = renderFreezes(seen, viewOf(context));
    if (context.json) printDocument(context.io, freezesAsJson(seen));
    else printLines(context.io, lines.length === 0 ? ["nothing is frozen"] : lines);
    return 0;
  },
};
