// `holdline clear`: ends a claim as an admin. Owns the request and the words for its outcome; leases/clear.ts decides.
import { clearClaim, eventsOf } from "../../leases/clear.js";
import type { Cleared, ClearRequest } from "../../leases/clear.js";
import { claimAsJson } from "../../views/json.js";
import { claimsOn } from "../../views/lock.js";
import type { ClaimView } from "../../views/lock.js";
import { readClaimId, readLabel } from "../../config/field.js";
import { HoldlineError } from "../../locks/errors.js";
import { parseLockName } from "../../locks/names.js";
import type { Command, Invocation } from "../command.js";
import type { Context } from "../context.js";
import { describeClaim } from "../listing.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { sanitize } from "../render.js";

export const clear: Command = {
  async run(context, invocation) {
    const request = { ...parseClear(invocation), by: context.settings.principal };
    const coordinator = await context.coordinator(request.lock);
    const cleared = await clearClaim(coordinator, request, context, context.stop.signal);
    const describe: Describe = (claim, now) => describeClaim(claim, now, context.perspective);
    if (cleared.outcome !== "cleared") throw errorOf(cleared, request, describe);
    eventsOf(cleared, request).forEach((event) => context.notifier.tell(event));
    tell(context, cleared, request, describe);
    return 0;
  },
};

/** @throws HoldlineError `usage` */
export function parseClear({ args, options }: Invocation): Omit<ClearRequest, "by"> {
  return {
    lock: parseLockName(args[0]),
    claim: readOption(options, "claim", readClaimId, null),
    reason: readOption(options, "reason", readReason, ""),
    force: options["force"] === true,
  };
}

function readReason(field: Parameters<typeof readLabel>[0]): string | undefined {
  return String(field.value).trim() === "" ? field.refuse("must not be empty: the history shows it") : readLabel(field);
}

type Describe = (claim: ClaimView, now: number) => string;

/** The error for a claim that was not ended. */
function errorOf(
  cleared: Exclude<Cleared, { outcome: "cleared" }>,
  request: Omit<ClearRequest, "by">,
  describe: Describe,
): HoldlineError {
  const { lock } = request;
  switch (cleared.outcome) {
    case "ended-by-itself":
      return new HoldlineError("nothing-there", `the claim on ${lock} ended by itself meanwhile; nothing was cleared`);
    case "nothing-there":
      return nothingToClear(claimsOn(cleared.seen), request);
    case "several": {
      const { candidates, now } = cleared;
      return new HoldlineError("usage", `there are ${candidates.length} durable claims on ${lock}: say which with --claim ID`, {
        hint: candidates.map((candidate) => describe(candidate, now)).join("\n"),
      });
    }
    case "alive":
      return stillAlive(cleared.chosen, describe(cleared.chosen, cleared.now));
    case "command-lives":
      return commandLives(cleared.pids, describe(cleared.chosen, cleared.now));
    case "changed":
      return new HoldlineError("conflict", `the claim on ${lock} changed while it was being cleared; nothing was cleared`, {
        hint: `it is now: ${describe(cleared.chosen, cleared.now)}`,
      });
  }
}

function nothingToClear(claims: readonly ClaimView[], { lock, claim }: Omit<ClearRequest, "by">): HoldlineError {
  if (claim !== null)
    return new HoldlineError("nothing-there", `there is no claim ${claim} on ${lock}`, {
      hint: `holdline locks ${lock} shows who is there`,
    });
  if (claims.length === 0)
    return new HoldlineError("nothing-there", `there is nothing to clear: nobody holds or waits for ${lock}`);
  return new HoldlineError(
    "nothing-there",
    `there is nothing to clear on ${lock}: its claims are ephemeral, and end with their processes`,
    {
      hint: "to withdraw one all the same, name it with --claim ID and add --force",
    },
  );
}

function stillAlive({ durable, state }: ClaimView, described: string): HoldlineError {
  if (!durable) {
    const what = state === "held" ? "is ephemeral" : "waits, and is ephemeral";
    return new HoldlineError("not-allowed", `the claim ${what}: it ends with its process (${described})`, {
      hint: "end that process instead; --force withdraws the claim all the same",
    });
  }
  return new HoldlineError("not-allowed", `the claim's owner is running (${described})`, {
    hint: "--force clears it all the same: the command goes on, and another node may begin beside it",
  });
}

function commandLives(pids: readonly number[], described: string): HoldlineError {
  const runs = `pid ${pids.slice(0, MOST_PIDS).join(", ")}${pids.length > MOST_PIDS ? ", …" : ""}`;
  return new HoldlineError("not-allowed", `the claim's command still runs here: ${runs} (${described})`, {
    hint:
      "wait for its end, or end it (kill), and clear the claim then; --force clears it at once: the command goes on, and another " +
      "node may begin beside it",
  });
}

// The first few say which command it is.
const MOST_PIDS = 10;

function tell(
  context: Context,
  { chosen, entries, now }: Extract<Cleared, { outcome: "cleared" }>,
  request: ClearRequest,
  describe: Describe,
): void {
  if (context.json) {
    printDocument(context.io, { cleared: entries.map(({ lock }) => ({ lock, ...claimAsJson(chosen) })) });
    return;
  }
  const what = chosen.durable ? "cleared" : "withdrew";
  const lines = [`${what} the claim on ${entries.map(({ lock }) => sanitize(lock)).join(", ")}: ${describe(chosen, now)}`];
  lines.push(
    chosen.durable ? `the history says: ${sanitize(request.reason)}` : "an ephemeral claim leaves no record in the history",
  );
  if (chosen.condition === "running") lines.push("its owner is still running; it is told at its next step");
  if (chosen.condition === "stale")
    lines.push(`its command may have outlived its agent: see on ${sanitize(chosen.owner.node)} that it has ended`);
  printLines(context.io, lines);
}
