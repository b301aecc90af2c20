// Reading the nodes of a fleet, and how far an action has come among them, from every store that the configuration names.
import { documentOfNode, mergeNodes, NODES_PREFIX, type NodeDocument, nodesIn } from "../fleet/node.js";
import { documentOfMembership } from "../fleet/membership.js";
import { locksOfAction, type Rollout, type RolloutClaim, rolloutOf, type RolloutRequest } from "../fleet/rollout.js";
import { readFreezes } from "../line/freezes.js";
import type { StoreTime } from "../locks/coordinator.js";
import type { Freeze } from "../locks/freezes.js";
import { claimsOn } from "./lock.js";
import { readLocksOf } from "./queues.js";
import { storesFor, type Stores } from "./stores.js";

/** The nodes as they were at a moment of the first store's clock. */
export interface SeenNodes {
  /** By name. */
  readonly nodes: readonly NodeDocument[];
  readonly now: StoreTime;
}

/** The nodes that any store knows. @param group only these; all with `null` */
export async function readNodes(from: Stores, group: string | null, signal: AbortSignal): Promise<SeenNodes> {
  const stores = await storesFor(from, null);
  const read = await Promise.all(
    stores.map(async ({ coordinator }) => {
      const [documents, now] = await Promise.all([coordinator.documents(NODES_PREFIX, signal), coordinator.sync(signal)]);
      return { nodes: nodesIn(documents), now };
    }),
  );
  const nodes = mergeNodes(read.map((store) => store.nodes)).filter((node) => group === null || node.group === group);
  return { nodes, now: read[0]?.now ?? { ms: 0, errorMs: Number.POSITIVE_INFINITY } };
}

/** A rollout as it was at a moment. */
export interface SeenRollout {
  readonly rollout: Rollout;
  /** The groups in which some node knows the action, sorted. */
  readonly groups: readonly string[];
  /** Milliseconds since 1970 by the store's clock. */
  readonly now: number;
}

/**
 * How far an action has come in a group.
 * @param sinceMsAgo how long ago it began; `null`: with the newest wave of wishes
 */
export async function readRollout(
  from: Stores,
  { action, group, sinceMsAgo }: Pick<RolloutRequest, "action" | "group"> & { readonly sinceMsAgo: number | null },
  signal: AbortSignal,
): Promise<SeenRollout> {
  const declared = from.settings.actions.flatMap(({ name, lock }) => (name === action ? [lock] : []));
  let locks: readonly string[] = declared;
  for (;;) {
    // The queues first: a node that finishes meanwhile has then written its document, and is in no state twice or never.
    const claims = await readClaims(from, locks, signal);
    const [{ nodes, now }, freezes] = await Promise.all([readNodes(from, null, signal), readAllFreezes(from, signal)]);
    const known = locksOfAction(action, group, nodes);
    const missing = known.filter((lock) => !locks.includes(lock));
    if (missing.length > 0) {
      locks = [...locks, ...missing];
      continue;
    }
    const since = sinceMsAgo === null ? null : now.ms - sinceMsAgo;
    const rollout = rolloutOf({ action, group, since }, { nodes, claims, freezes, locks, now });
    const groups = nodes.flatMap((node) => (Object.hasOwn(node.actions, action) ? [node.group] : []));
    return { rollout, groups: [...new Set(groups)].sort(), now: now.ms };
  }
}

async function readClaims(from: Stores, locks: readonly string[], signal: AbortSignal): Promise<readonly RolloutClaim[]> {
  const seen = await Promise.all(
    locks.map(async (lock) => {
      const stores = await storesFor(from, lock);
      return Promise.all(stores.map((store) => readLocksOf(from, store, [lock], signal)));
    }),
  );
  return seen.flat(2).flatMap((lock) => claimsOn(lock));
}

async function readAllFreezes(from: Stores, signal: AbortSignal): Promise<readonly Freeze[]> {
  const stores = await storesFor(from, null);
  const read = await Promise.all(stores.map(({ coordinator }) => readFreezes(coordinator, signal)));
  return read.flatMap(({ freezes }) => freezes);
}

/**
 * Forgets a node in every store, and how many its group has, so that percentages no longer count it. A node that runs something again
 * is known again.
 * @returns what was known of it; `null`: nothing
 */
export async function forgetNode(from: Stores, name: string, signal: AbortSignal): Promise<NodeDocument | null> {
  const forgotten: NodeDocument[] = [];
  for (const { coordinator } of await storesFor(from, null)) {
    for (;;) {
      const document = await coordinator.document(documentOfNode(name), signal);
      if (document === null) break;
      // Its node may be writing just now: then that goes as well.
      if ((await coordinator.writeDocument(document.name, null, document.revision, signal)) === "changed") continue;
      const known = nodesIn([document]);
      forgotten.push(...(known.length > 0 ? known : [unreadable(name)]));
      break;
    }
    for (const { group } of forgotten) await forgetCount(coordinator, group, signal);
  }
  return mergeNodes([forgotten])[0] ?? null;
}

async function forgetCount(
  coordinator: Awaited<ReturnType<Stores["coordinator"]>>,
  group: string,
  signal: AbortSignal,
): Promise<void> {
  const name = documentOfMembership(group);
  const document = name === null ? null : await coordinator.document(name, signal);
  // One that has changed was counted just now, without the node.
  if (document !== null) await coordinator.writeDocument(document.name, null, document.revision, signal);
}

/** What stands for a document that is none of ours. */
function unreadable(node: string): NodeDocument {
  return { node, group: "", machine: null, seenAt: 0, version: "", actions: {} };
}
