// Freezes: which are in force, and freezing and thawing by hand.
import type { FastifyInstance, FastifyRequest } from "fastify";
import { randomUUID } from "node:crypto";
import type { Field } from "../../config/field.js";
import { readDurationMs, readLabel } from "../../config/field.js";
import { readGiven } from "../../config/given.js";
import { freezeEverywhere, type Freezer, thawEverywhere } from "../../leases/freezing.js";
import { ID_EXAMPLE, parseClaimId } from "../../locks/ids.js";
import type { Freeze } from "../../locks/freezes.js";
import { parseLockPattern } from "../../locks/names.js";
import { freezeAsJson } from "../../views/json.js";
import { storesMatching } from "../../views/stores.js";
import type { Caller } from "../access.js";
import { requireRight, requireRightBehind } from "../access.js";
import { refuse } from "../errors.js";
import { freezesSeenBy, freezesText } from "../fleet.js";
import type { Service } from "../service.js";
import { answers, asked, DURATION, FREEZE, FREEZES, list, NOT_MODIFIED, params, UUID } from "./schemas.js";
import { readMember, requireSome, sendTagged } from "./values.js";

interface Body extends Readonly<Record<string, unknown>> {
  readonly locks?: readonly string[];
  readonly id?: string;
}

export function routeFreezes(app: FastifyInstance, service: Service): void {
  app.get("/v1/freezes", {
    schema: {
      operationId: "freezes",
      summary: "The freezes in force that bind locks which the caller may see",
      tags: ["freezes"],
      response: answers({ 200: FREEZES, ...NOT_MODIFIED }),
    },
    async handler(request, reply) {
      requireSome(request.caller, "read");
      await service.mirror.read(request.patience);
      const seen = freezesSeenBy(request.caller, service.mirror.freezes());
      return sendTagged(request, reply, `{${freezesText(seen)}}`);
    },
  });

  app.post<{ Body: Body }>("/v1/freezes", {
    schema: {
      operationId: "freeze",
      summary: "Keeps what it names from beginning, until it is thawed or its time is over; takes the right to clear",
      tags: ["freezes"],
      body: asked(
        {
          locks: {
            ...list({ type: "string" }),
            description: "patterns of locks; * stands for any text, and alone, as by default, for all",
          },
          node: { type: "string", nullable: true, description: "only on the nodes of this pattern" },
          group: { type: "string", nullable: true, description: "only in this group of nodes" },
          reason: { type: "string", description: "why; those who are kept waiting see it, and the history shows it" },
          for: {
            description: `how long: ${DURATION}; until it is thawed by default`,
            anyOf: [{ type: "string", nullable: true }, { type: "number" }],
          },
          id: UUID,
        },
        ["reason"],
      ),
      response: answers({ 201: { ...FREEZE, description: "it is in force" } }, 409),
    },
    async handler(request, reply) {
      const { body, caller } = request;
      const patterns = body.locks === undefined || body.locks.length === 0 ? ["*"] : body.locks;
      const locks = [...new Set(patterns.map(parseLockPattern))];
      for (const pattern of locks) requireOverPattern(caller, pattern);
      const wanted = {
        id: body.id?.toLowerCase() ?? randomUUID(),
        locks,
        node: readMember(body, "node", readLabel, null),
        group: readMember(body, "group", readLabel, null),
        reason: readGiven(body["reason"], "reason", readReason),
        forMs: readMember(body, "for", (field) => readDurationMs(field, { most: Number.MAX_SAFE_INTEGER }), null),
      };
      const { stores, notifier } = service;
      const frozen = await freezeEverywhere(storesMatching(stores, locks), wanted, freezerOf(service, request));
      notifier.tell({ event: "frozen", freeze: frozen, by: frozen.by });
      return reply.code(201).header("Location", `/v1/freezes/${frozen.id}`).send(freezeAsJson(frozen));
    },
  });

  app.delete<{ Params: { readonly id: string } }>("/v1/freezes/:id", {
    schema: {
      operationId: "thaw",
      summary: "Ends a freeze; takes the right to clear",
      tags: ["freezes"],
      params: params("id", "the freeze's id"),
      response: answers({ 200: { ...FREEZE, description: "the freeze that has ended" } }, 404),
    },
    async handler(request, reply) {
      const { caller, patience } = request;
      requireSome(caller, "clear");
      const id = parseClaimId(request.params.id, `right would be the freeze's id, such as ${ID_EXAMPLE}`);
      const { mirror, stores, notifier } = service;
      await mirror.read(patience);
      const known = mirror.freezes().freezes.find((freeze) => freeze.id === id);
      // The caller has named none of its patterns, and may not see all of them.
      const requireOver = ({ locks }: Freeze): void => locks.forEach((pattern) => requireRightBehind(caller, "clear", pattern));
      if (known !== undefined) requireOver(known);
      // Another store may have another freeze with this id.
      const freezer = { ...freezerOf(service, request), requireOver };
      const [thawed] = known === undefined ? [] : await thawEverywhere(storesMatching(stores, null), id, freezer);
      if (thawed === undefined) {
        const message = `there is no freeze ${id}: it was thawed, or its time is over`;
        return refuse(reply, "problem", { status: 404, kind: "nothing-there", message });
      }
      notifier.tell({ event: "thawed", freeze: thawed, by: caller.name });
      return reply.send(freezeAsJson(thawed));
    },
  });
}

/** The right to clear every lock that the pattern can match. @throws HoldlineError `not-allowed` */
function requireOverPattern(caller: Caller, pattern: string): void {
  // A pattern of the rights covers the pattern where it matches it as a name: see isCoveredBy.
  requireRight(caller, "clear", pattern);
}

function freezerOf({ stores: { settings } }: Service, { caller, patience }: FastifyRequest): Freezer {
  return { owner: { node: settings.node, principal: caller.name, action: null, process: null }, signal: patience };
}

function readReason(field: Field): string | undefined {
  return String(field.value).trim() === "" ? field.refuse("must say why: the history shows it") : readLabel(field);
}
