// What a caller may see of the nodes, rollouts and freezes in the mirror. All nodes, but only those of their actions whose locks the
// caller may read; and the freezes that can bind such a lock, without their other patterns.
import { DEFAULT_GROUP } from "../fleet/node.js";
import type { NodeAction, NodeDocument } from "../fleet/node.js";
import { locksOfAction, rolloutOf } from "../fleet/rollout.js";
import type { Rollout, RolloutClaim } from "../fleet/rollout.js";
import { isDeclaredAction } from "../locks/exec-actions.js";
import type { Freeze } from "../locks/freezes.js";
import { haveCommon } from "../locks/patterns.js";
import { freezeAsJson } from "../views/json.js";
import { claimsOn } from "../views/lock.js";
import type { Caller } from "./access.js";
import { mirroredNode } from "./documents-copy.js";
import type { MirroredNode } from "./documents-copy.js";
import type { Mirror, MirroredFreezes } from "./mirror.js";

/** The nodes with the actions that the caller may see, by name. */
export function nodesSeenBy(caller: Caller, nodes: readonly MirroredNode[]): readonly MirroredNode[] {
  if (!caller.may("read")) return [];
  return caller.rights.locks.includes("*") ? nodes : nodes.map((node) => seenNode(caller, node));
}

/** By node and caller, what that caller sees of it: most nodes stay the same between two requests. */
const seenNodes = new WeakMap<MirroredNode, Map<string, MirroredNode>>();

function seenNode(caller: Caller, mirrored: MirroredNode): MirroredNode {
  const known = seenNodes.get(mirrored) ?? new Map<string, MirroredNode>();
  seenNodes.set(mirrored, known);
  const seen = known.get(caller.name) ?? withoutHidden(caller, mirrored.node);
  known.set(caller.name, seen);
  return seen;
}

function withoutHidden(caller: Caller, document: NodeDocument): MirroredNode {
  const shown = Object.entries(document.actions).filter(([, { lock }]) => caller.mayWith("read", lock));
  return mirroredNode({ ...document, actions: Object.fromEntries(shown) });
}

/** Whether the caller may read a lock that the pattern matches. */
export function mayReadSome(caller: Caller, pattern: string): boolean {
  return caller.may("read") && caller.rights.locks.some((own) => haveCommon(own, pattern));
}

/** The freezes that can bind a lock which the caller may read. */
export function freezesSeenBy(caller: Caller, { freezes, isUnreadable }: MirroredFreezes): MirroredFreezes {
  if (!caller.may("read")) return { freezes: [], isUnreadable };
  const seen = freezes.flatMap((freeze): Freeze[] => {
    const locks = freeze.locks.filter((pattern) => mayReadSome(caller, pattern));
    return locks.length === 0 ? [] : [{ ...freeze, locks }];
  });
  return { freezes: seen, isUnreadable };
}

/** Freezes as members of a document. `freezesUnreadable` is there only where it is true. */
export function freezesText({ freezes, isUnreadable }: MirroredFreezes): string {
  return `"freezes":${JSON.stringify(freezes.map(freezeAsJson))}${isUnreadable ? ',"freezesUnreadable":true' : ""}`;
}

/** How a node does, by the worst of its actions. `idle`: it has none. */
export const NODE_STATES = ["failed", "running", "waiting", "pending", "done", "idle"] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** An action in a group of nodes. */
export interface Course {
  readonly group: string;
  readonly action: string;
}

/** The fleet as one caller sees it at one moment. */
export interface Fleet {
  readonly nodes: readonly MirroredNode[];
  readonly byGroup: ReadonlyMap<string, readonly NodeDocument[]>;
  /** Of declared actions, by action. */
  readonly claims: ReadonlyMap<string, readonly RolloutClaim[]>;
  readonly freezes: MirroredFreezes;
  /** Milliseconds since 1970 by the general store's clock. */
  readonly now: number;
}

/** The fleet as it was read last. */
export function fleetSeenBy(caller: Caller, mirror: Mirror): Fleet {
  const nodes = nodesSeenBy(caller, mirror.nodes());
  const byGroup = new Map<string, NodeDocument[]>();
  for (const { node } of nodes) append(byGroup, node.group, node);
  const claims = new Map<string, RolloutClaim[]>();
  for (const lock of mirror.latest()) {
    if (!caller.mayWith("read", lock.lock)) continue;
    for (const claim of claimsOn(lock)) {
      const { action } = claim.owner;
      if (claim.lease === null && isDeclaredAction(action)) append(claims, action, claim);
    }
  }
  return { nodes, byGroup, claims, freezes: freezesSeenBy(caller, mirror.freezes()), now: mirror.now() };
}

/** All actions of all groups, those first for which somebody wished last. */
export function coursesIn({ nodes, claims }: Fleet): readonly Course[] {
  const wishes = new Map<string, { course: Course; wishedAt: number }>();
  const note = (course: Course, wishedAt: number): void => {
    const key = JSON.stringify([course.group, course.action]);
    const known = wishes.get(key);
    if (known === undefined) wishes.set(key, { course, wishedAt });
    else known.wishedAt = Math.max(known.wishedAt, wishedAt);
  };
  for (const { node } of nodes)
    for (const [action, { wishedAt }] of Object.entries(node.actions)) note({ group: node.group, action }, wishedAt);
  for (const [action, all] of claims)
    for (const { owner, since } of all) note({ group: owner.group ?? DEFAULT_GROUP, action }, since);
  return [...wishes.values()].sort((one, other) => other.wishedAt - one.wishedAt).map(({ course }) => course);
}

/** How far an action has come. @param since milliseconds since 1970; `null`: since the newest wave of wishes */
export function rolloutIn({ byGroup, claims, freezes, now }: Fleet, { group, action }: Course, since: number | null): Rollout {
  const nodes = byGroup.get(group) ?? [];
  const facts = { nodes, claims: claims.get(action) ?? [], freezes: freezes.freezes, now: { ms: now, errorMs: 0 } };
  return rolloutOf({ action, group, since }, { ...facts, locks: locksOfAction(action, group, nodes) });
}

/** The state of each node, by name. */
export function statesOf({ nodes, claims }: Fleet): ReadonlyMap<string, NodeState> {
  const atWork = new Map<string, NodeState>();
  for (const all of claims.values())
    for (const { owner, condition } of all) {
      const state = condition === "failed" || condition === "stale" ? "failed" : condition === "waiting" ? "waiting" : "running";
      atWork.set(owner.node, worseOf(state, atWork.get(owner.node) ?? "idle"));
    }
  return new Map(
    nodes.map(({ node }) => {
      const states = [atWork.get(node.node) ?? "idle", ...Object.values(node.actions).map(stateOfAction)];
      return [node.node, states.reduce(worseOf, "idle")];
    }),
  );
}

function stateOfAction({ outcome, pendingSince }: NodeAction): NodeState {
  if (outcome === "failed") return "failed";
  return pendingSince === null ? "done" : "pending";
}

function worseOf(one: NodeState, other: NodeState): NodeState {
  return NODE_STATES.indexOf(one) <= NODE_STATES.indexOf(other) ? one : other;
}

function append<T>(to: Map<string, T[]>, key: string, value: T): void {
  const list = to.get(key);
  if (list === undefined) to.set(key, [value]);
  else list.push(value);
}
