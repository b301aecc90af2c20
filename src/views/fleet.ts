// Nodes and rollouts as JSON: the documents of `nodes --json` and `rollout --json`, of the HTTP API and of the page's script. Pure.
import type { NodeAction, NodeDocument } from "../fleet/node.js";
import type { Rollout } from "../fleet/rollout.js";
import { isoTime } from "../locks/durations.js";

export type NodeJson = ReturnType<typeof nodeAsJson>;
export type RolloutJson = ReturnType<typeof rolloutAsJson>;

/** Nodes as `nodes --json` gives them. */
export function nodesAsJson(nodes: readonly NodeDocument[]) {
  return { nodes: nodes.map(nodeAsJson) };
}

export function nodeAsJson({ node, group, machine, seenAt, version, actions }: NodeDocument) {
  const named = Object.entries(actions).map(([name, action]) => [name, nodeActionAsJson(action)] as const);
  return { node, group, machine, seenAt: isoTime(seenAt), version, actions: Object.fromEntries(named) };
}

function nodeActionAsJson({ lock, outcome, at, ranMs, message, wishedAt, pendingSince }: NodeAction) {
  return {
    ...{ lock, outcome, at: isoTime(at), ranMs, message, wishedAt: isoTime(wishedAt) },
    pendingSince: pendingSince === null ? null : isoTime(pendingSince),
  };
}

/** A rollout as `rollout --json` gives it. `nodes` counts them; each counter is named like the state that it counts. */
export function rolloutAsJson({ action, group, since, counts, etaMs, each }: Rollout) {
  return {
    ...{ action, group, since: since === null ? null : isoTime(since), nodes: each.length },
    ...counts,
    etaMs,
    each: each.map(({ node, state, at, message }) => ({ node, state, at: at === null ? null : isoTime(at), message })),
  };
}
