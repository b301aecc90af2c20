// Claims by their ids, in all their queues; and clearing them.
import type { FastifyInstance } from "fastify";
import { clearClaim, eventsOf } from "../../leases/clear.js";
import type { Cleared } from "../../leases/clear.js";
import { claimAsJson } from "../../views/json.js";
import { claimsOn } from "../../views/lock.js";
import type { ClaimView } from "../../views/lock.js";
import type { Field } from "../../config/field.js";
import { readLabel } from "../../config/field.js";
import { readGiven } from "../../config/given.js";
import { ID_EXAMPLE, parseAnyClaimId } from "../../locks/ids.js";
import { parseLockName } from "../../locks/names.js";
import { requireRight, requireRightBehind } from "../access.js";
import { refuse } from "../errors.js";
import type { Refusal } from "../errors.js";
import type { Service } from "../service.js";
import { answers, asked, ENTRY, list, LOCK, NOT_MODIFIED, object, params } from "./schemas.js";
import { requireSome, sendTagged } from "./values.js";

interface OfClaim {
  readonly Params: { readonly id: string };
}

const PARAMS = params("id", "the claim's id");
const ENTRIES = list(ENTRY);

export function routeClaims(app: FastifyInstance, service: Service): void {
  app.get<OfClaim>("/v1/claims/:id", {
    schema: {
      operationId: "claim",
      summary: "A claim, in all its queues that the caller may see",
      tags: ["claims"],
      params: PARAMS,
      response: answers({ 200: object("its entries", { claims: ENTRIES }), ...NOT_MODIFIED }, 404),
    },
    async handler(request, reply) {
      requireSome(request.caller, "read");
      const id = readId(request.params);
      const entries = await findEntries(service, id, request.patience);
      const seen = entries.filter(({ lock }) => request.caller.mayWith("read", lock));
      if (seen.length === 0)
        return refuse(reply, "problem", { status: 404, kind: "nothing-there", message: `there is no claim ${id}` });
      return sendTagged(request, reply, JSON.stringify({ claims: seen.map(entryAsJson) }));
    },
  });

  app.post<OfClaim & { Body: { readonly lock: string; readonly reason: string; readonly force?: boolean } }>(
    "/v1/claims/:id/clear",
    {
      schema: {
        operationId: "clearClaim",
        summary: "Ends a claim by hand in all its queues; the history says who did it and why",
        tags: ["claims"],
        params: PARAMS,
        body: asked(
          {
            lock: LOCK,
            reason: { type: "string", description: "why; the history shows it" },
            force: { type: "boolean", description: "end also a waiting claim, and one whose owner or command is running" },
          },
          ["lock", "reason"],
        ),
        response: answers({ 200: object("the ended claim in its queues", { cleared: ENTRIES }) }, 404, 409),
      },
      async handler(request, reply) {
        const { body, caller, patience } = request;
        const lock = parseLockName(body.lock);
        requireRight(caller, "clear", lock);
        const reason = readGiven(body.reason, "reason", readReason);
        const id = readId(request.params);
        // It ends in all its queues. The id of another program's entry may be another entry's elsewhere: only this one ends.
        for (const entry of await findEntries(service, id, patience))
          if (entry.ref !== id) requireRightBehind(caller, "clear", entry.lock);
        const wanted = { lock, claim: id, reason, force: body.force === true, by: caller.name };
        const { stores, notifier } = service;
        const cleared = await clearClaim(await stores.coordinator(lock), wanted, stores, patience);
        if (cleared.outcome !== "cleared")
          return refuse(reply, "problem", refusalOf(cleared, lock, id, caller.mayWith("read", lock)));
        eventsOf(cleared, wanted).forEach((event) => notifier.tell(event));
        const { chosen } = cleared;
        const entries = cleared.entries.filter((entry) => caller.mayWith("read", entry.lock));
        return reply.send({ cleared: entries.map((entry) => entryAsJson({ ...chosen, lock: entry.lock })) });
      },
    },
  );
}

function readId({ id }: OfClaim["Params"]): string {
  return parseAnyClaimId(id, `right would be the claim's id, such as ${ID_EXAMPLE}`);
}

function readReason(field: Field): string | undefined {
  return String(field.value).trim() === "" ? field.refuse("must say why: the history shows it") : readLabel(field);
}

/** All entries of a claim, with every change that was committed before the call. */
export async function findEntries({ mirror }: Service, id: string, signal: AbortSignal): Promise<readonly ClaimView[]> {
  const locks = await mirror.read(signal);
  return locks.flatMap((lock) => claimsOn(lock).filter((claim) => claim.id === id));
}

function entryAsJson(claim: ClaimView) {
  return { lock: claim.lock, ...claimAsJson(claim) };
}

/** Why nothing was ended. @param isSeen whether the caller may see the lock, and so its claims */
function refusalOf(cleared: Exclude<Cleared, { outcome: "cleared" }>, lock: string, id: string, isSeen: boolean): Refusal {
  switch (cleared.outcome) {
    case "ended-by-itself":
      return { status: 404, kind: "nothing-there", message: `the claim ${id} on ${lock} ended by itself meanwhile` };
    case "nothing-there":
      return { status: 404, kind: "nothing-there", message: `there is no claim ${id} on ${lock}` };
    case "several":
      return { status: 409, kind: "conflict", message: `there are several claims ${id} on ${lock}` };
    case "alive": {
      const { durable, owner, state } = cleared.chosen;
      const message = durable
        ? `the owner of the claim ${id} is running${isSeen ? `: ${owner.principal} on ${owner.node}` : ""}`
        : `the claim ${id} ${state === "held" ? "is ephemeral" : "waits, and is ephemeral"}: it ends with its process`;
      const hint = '"force": true ends it all the same; a command that runs under it goes on';
      return { status: 409, kind: "alive", message, hint, ...shown(cleared.chosen, isSeen) };
    }
    case "command-lives": {
      const pids = isSeen ? `: pid ${cleared.pids.join(", ")}` : "";
      const message = `the agent of the claim ${id} is gone, but its command still runs on the server's machine${pids}`;
      const hint = '"force": true ends the claim all the same; the command goes on';
      return { status: 409, kind: "alive", message, hint, ...shown(cleared.chosen, isSeen) };
    }
    case "changed": {
      const message = `the claim ${id} on ${lock} changed while it was being cleared; nothing was cleared`;
      return { status: 409, kind: "conflict", message, hint: "try again", ...shown(cleared.chosen, isSeen) };
    }
  }
}

function shown(claim: ClaimView, isSeen: boolean): Pick<Refusal, "more"> {
  return isSeen ? { more: { claim: claimAsJson(claim) } } : {};
}
