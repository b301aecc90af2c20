// `holdline rollout`: shows how far an action has come in a group of nodes; once, or whenever something changes.
import { readDurationMs, readLabel } from "../../config/field.js";
import { HoldlineError } from "../../locks/errors.js";
import { quoted } from "../../locks/text.js";
import { rolloutAsJson } from "../../views/fleet.js";
import { readRollout, type SeenRollout } from "../../views/nodes.js";
import { storesFor } from "../../views/stores.js";
import type { Command } from "../command.js";
import type { Context } from "../context.js";
import { renderRollout, renderRolloutChange } from "../fleet-listing.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { viewOf } from "../table.js";

export const rollout: Command = {
  async run(context, { args, options }) {
    const request = {
      action: args[0] ?? "",
      group: readOption(options, "group", readLabel, context.settings.group),
      sinceMsAgo: readOption(options, "since", (field) => readDurationMs(field), null),
    };
    if (options["watch"] === true) return watchRollout(context, request);
    const seen = await readRollout(context, request, context.stop.signal);
    if (seen.rollout.since === null) throw nothingKnown(seen);
    if (context.json) printDocument(context.io, rolloutAsJson(seen.rollout));
    else printLines(context.io, renderRollout(seen.rollout, seen.now, viewOf(context)));
    return 0;
  },
};

function nothingKnown({ rollout: { action, group }, groups }: SeenRollout): HoldlineError {
  const hint =
    groups.length === 0
      ? "no node has run it yet; holdline nodes shows what each node ran last"
      : `nodes of these groups have: ${groups.map((name) => quoted(name)).join(", ")} (--group)`;
  return new HoldlineError("nothing-there", `nothing is known of the action ${quoted(action)} in the group ${quoted(group)}`, {
    hint,
  });
}

// The pace is reckoned anew now and then, also while nothing happens: just then the rest takes longer.
const RECKONED_EACH_MS = 30_000;

async function watchRollout(context: Context, request: Parameters<typeof readRollout>[1]): Promise<number> {
  const { watch } = await import("../watch.js");
  return watch<SeenRollout>(context, {
    title: `the rollout of ${request.action}, as it goes on`,
    stores: await storesFor(context, null),
    read: (signal) => readRollout(context, request, signal),
    untilStale: (_, elapsedMs) => Math.max(0, RECKONED_EACH_MS - elapsedMs),
    timeOf: ({ now }) => now,
    asJson: ({ rollout: seen }) => rolloutAsJson(seen),
    render: ({ rollout: seen, now }, elapsedMs, view) => renderRollout(seen, now + elapsedMs, view),
    renderChange: ({ rollout: seen }, before) => renderRolloutChange(seen, before.rollout),
  });
}
