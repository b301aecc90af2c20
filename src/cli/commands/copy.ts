// `holdline copy`: takes everything from one store to another. moving/copy.ts does it.
import { redactUrl } from "../../config/secrets.js";
import { coordinatorUrlProblem } from "../../coordinators/urls.js";
import { HoldlineError } from "../../locks/errors.js";
import type { Command, Invocation } from "../command.js";
import type { Context } from "../context.js";
import { printDocument, printLines } from "../output.js";
import { sanitize } from "../render.js";
import { shellWord } from "../shell-word.js";

export const copy: Command = {
  async run(context, invocation) {
    const { from, to } = parseCopy(invocation);
    if (invocation.options["giveUp"] === true) return giveUp(context, from);
    const copied = await context.moving.copy(from, to);
    const [source, target] = [redactUrl(from), redactUrl(to)];
    if (context.json) printDocument(context.io, { copied: { from: source, to: target, ...copied } });
    else {
      const { claims, history, documents, freezes, isRepeated } = copied;
      const what = [`claims: ${claims}`, `history: ${history}`, `documents: ${documents}`, `freezes: ${freezes}`].join(", ");
      printLines(
        context.io,
        [
          `${isRepeated ? "copied before" : "copied"} from ${source} to ${target}: ${what}`,
          `now set \`coordinator\` to ${target} on every node, and then: holdline thaw --all --coordinator ${shellWord(target)}`,
        ].map(sanitize),
      );
    }
    return 0;
  },
};

async function giveUp({ moving, json, io }: Context, from: string): Promise<number> {
  const givenUp = await moving.giveUp(from);
  if (json) printDocument(io, { givenUp });
  else
    printLines(io, [givenUp ? "everything stays where it was, frozen until it is thawed" : "nothing was being copied from there"]);
  return 0;
}

/** @throws HoldlineError `usage` */
export function parseCopy({ args: [from = "", to = ""] }: Invocation): { readonly from: string; readonly to: string } {
  for (const [name, url] of [
    ["FROM", from],
    ["TO", to],
  ] as const) {
    const problem = coordinatorUrlProblem(url);
    if (problem !== null) throw new HoldlineError("usage", `the URL ${name} ${problem}`);
  }
  if (from === to) throw new HoldlineError("usage", "FROM and TO are the same store", { hint: "name the new store as TO" });
  return { from, to };
}
