// `holdline thaw`: ends a freeze, or all.
import { thawEverywhere } from "../../leases/freezing.js";
import { HoldlineError } from "../../locks/errors.js";
import { ID_EXAMPLE, parseClaimId } from "../../locks/ids.js";
import { freezeAsJson } from "../../views/json.js";
import { storesMatching } from "../../views/stores.js";
import type { Command, Invocation } from "../command.js";
import { printDocument, printLines } from "../output.js";
import { whatIsFrozen } from "../freezes.js";
import { sanitize } from "../render.js";
import { freezerOf } from "./freeze.js";

export const thaw: Command = {
  async run(context, invocation) {
    const id = parseThaw(invocation);
    const freezer = freezerOf(context);
    const thawed = await thawEverywhere(storesMatching(context, null), id, freezer);
    for (const freeze of thawed) context.notifier.tell({ event: "thawed", freeze, by: freezer.owner.principal });
    if (id !== null && thawed.length === 0) {
      throw new HoldlineError("nothing-there", `there is no freeze ${id}: it was thawed, or its time is over`, {
        hint: "holdline freezes shows what is frozen",
      });
    }
    if (context.json) printDocument(context.io, { thawed: thawed.map(freezeAsJson) });
    else if (thawed.length === 0) printLines(context.io, ["nothing was frozen"]);
    else
      printLines(
        context.io,
        thawed.map((freeze) => sanitize(`thawed ${whatIsFrozen(freeze)}: ${freeze.reason} (${freeze.id})`)),
      );
    return 0;
  },
};

/** The freeze's id; `null` for all. @throws HoldlineError `usage` */
export function parseThaw({ args: [id], options }: Invocation): string | null {
  const isAll = options["all"] === true;
  if (isAll && id !== undefined) throw new HoldlineError("usage", "an id and --all exclude each other");
  if (isAll) return null;
  if (id !== undefined) return parseClaimId(id, `right would be the id that holdline freeze printed, such as ${ID_EXAMPLE}`);
  throw new HoldlineError("usage", "nothing to thaw was named", {
    hint: "name a freeze by its id, or give --all; holdline freezes shows them",
  });
}
