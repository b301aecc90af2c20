// Nodes and rollouts, answered from the mirror with the texts that it keeps.
import type { FastifyInstance } from "fastify";
import { readDurationMs } from "../../config/field.js";
import { HoldlineError } from "../../locks/errors.js";
import { quoted } from "../../locks/text.js";
import { nodeAsJson, rolloutAsJson } from "../../views/fleet.js";
import { forgetNode } from "../../views/nodes.js";
import { requireRightBehind } from "../access.js";
import { mirroredNode } from "../documents-copy.js";
import { coursesIn, fleetSeenBy, nodesSeenBy, rolloutIn } from "../fleet.js";
import type { Fleet } from "../fleet.js";
import type { Service } from "../service.js";
import { answers, asked, list, NODE, NOT_MODIFIED, object, params, ROLLOUT } from "./schemas.js";
import { readMember, requireSome, sendTagged, sendUnder, tagOfAll } from "./values.js";

type Query = Readonly<Record<string, string>>;

const GROUP = { type: "string", description: "only of this group" };

export function routeFleet(app: FastifyInstance, service: Service): void {
  const { mirror } = service;

  app.get<{ Querystring: Query }>("/v1/nodes", {
    schema: {
      operationId: "nodes",
      summary: "All nodes, with what became last of those of their actions whose locks the caller may see",
      tags: ["fleet"],
      querystring: asked({ group: GROUP }),
      response: answers({ 200: object("nodes by name", { nodes: list(NODE) }), ...NOT_MODIFIED }),
    },
    async handler(request, reply) {
      const { caller, patience, query } = request;
      requireSome(caller, "read");
      await mirror.read(patience);
      const { group } = query;
      const all = nodesSeenBy(caller, mirror.nodes());
      const nodes = group === undefined ? all : all.filter(({ node }) => node.group === group);
      return sendUnder(tagOfAll(nodes), request, reply, () => `{"nodes":[${nodes.map(({ text }) => text).join(",")}]}`);
    },
  });

  app.delete<{ Params: { readonly node: string } }>("/v1/nodes/:node", {
    schema: {
      operationId: "forgetNode",
      summary: "Forgets a node, so that percentages and rollouts no longer count it; one that runs something again is known again",
      tags: ["fleet"],
      params: params("node", "the node's name, with %2F for each slash"),
      response: answers({ 200: object("what was forgotten", { forgotten: NODE }) }, 404),
    },
    async handler({ caller, patience, params: { node } }, reply) {
      requireSome(caller, "clear");
      await mirror.read(patience);
      const known = mirror.nodes().find((one) => one.node.node === node);
      for (const { lock } of Object.values(known?.node.actions ?? {})) requireRightBehind(caller, "clear", lock);
      const forgotten = await forgetNode(service.stores, node, patience);
      if (forgotten === null) throw new HoldlineError("nothing-there", `nothing is known of a node ${quoted(node)}`);
      // Whoever may clear and not read learns of none of its actions.
      const [seen] = nodesSeenBy(caller, [mirroredNode(forgotten)]);
      return reply.send({ forgotten: nodeAsJson(seen?.node ?? { ...forgotten, actions: {} }) });
    },
  });

  app.get<{ Params: { readonly action: string }; Querystring: Query }>("/v1/rollouts/:action", {
    schema: {
      operationId: "rollout",
      summary: "How far an action has come in a group of nodes",
      tags: ["fleet"],
      params: params("action", "the action's name"),
      querystring: asked({
        group: { type: "string", description: "the group; not needed where only one has the action" },
        since: {
          type: "string",
          description: 'it began so long ago: "1 day", or a number of seconds; by default with the newest wave of wishes',
        },
      }),
      response: answers({ 200: ROLLOUT, ...NOT_MODIFIED }, 404),
    },
    async handler(request, reply) {
      const { caller, patience, query } = request;
      requireSome(caller, "read");
      const sinceMs = readMember(query, "since", (field) => readDurationMs(field, { most: Number.MAX_SAFE_INTEGER }), null);
      await mirror.read(patience);
      const fleet = fleetSeenBy(caller, mirror);
      const { action } = request.params;
      const group = query["group"] ?? onlyGroupOf(fleet, action);
      const rollout = rolloutIn(fleet, { group, action }, sinceMs === null ? null : fleet.now - sinceMs);
      if (rollout.since === null)
        throw new HoldlineError("nothing-there", `nothing is known of ${quoted(action)} in the group ${quoted(group)}`);
      return sendTagged(request, reply, JSON.stringify(rolloutAsJson(rollout)));
    },
  });
}

function onlyGroupOf(fleet: Fleet, action: string): string {
  const groups = coursesIn(fleet).flatMap((course) => (course.action === action ? [course.group] : []));
  const [group, ...others] = groups;
  if (group === undefined) throw new HoldlineError("nothing-there", `nothing is known of ${quoted(action)}`);
  if (others.length === 0) return group;
  throw new HoldlineError("usage", `several groups have ${quoted(action)}`, {
    hint: `say which with ?group=: ${groups.slice(0, MOST_NAMED).map(quoted).join(", ")}${groups.length > MOST_NAMED ? ", …" : ""}`,
  });
}

// A few names say what a group's name looks like.
const MOST_NAMED = 5;
