// How far an action has come in a group of nodes: what each node did or waits for, and when it will be over at the present pace. Pure:
// documents, queues, freezes and time are handed in.
import type { Claim, Condition } from "../locks/claim.js";
import type { StoreTime } from "../locks/coordinator.js";
import { isoTime } from "../locks/durations.js";
import { bindingFreezes, type Freeze } from "../locks/freezes.js";
import { actionOf, DEFAULT_GROUP, isFulfilled, type NodeAction, type NodeDocument, outcomeWords } from "./node.js";

/**
 * What a node is to a rollout:
 * - `done`: it has fulfilled a wish since the rollout began.
 * - `running`: it holds the lock, in whatever stage its work is; also while it reboots.
 * - `waiting`: it stands in line.
 * - `failed`: its action has failed since, or its claim is kept as failed or stale, so that somebody has to look.
 * - `pending`: its turn did not come, or a gate was shut; it tries again.
 * - `notYet`: nothing of it is known since the rollout began.
 */
export const ROLLOUT_STATES = ["done", "running", "waiting", "failed", "pending", "notYet"] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];

/** A claim as its queue shows it. */
export type RolloutClaim = Pick<Claim, "lock" | "owner" | "since" | "failure" | "stage"> & { readonly condition: Condition };

export interface RolloutNode {
  readonly node: string;
  readonly state: RolloutState;
  /** Since when it is so, in milliseconds since 1970 by the store's clock; `null` where nothing says it. */
  readonly at: number | null;
  /** Why, or what became of it, in words; empty where the state says it all. */
  readonly message: string;
}

export interface Rollout {
  readonly action: string;
  readonly group: string;
  /** When it began; `null` where nothing is known of the action in this group. */
  readonly since: number | null;
  readonly counts: { readonly [S in RolloutState]: number };
  /** When it will be over at the present pace; `null` where that cannot be told: nothing is done yet, or nothing goes on. */
  readonly etaMs: number | null;
  /** By name. */
  readonly each: readonly RolloutNode[];
}

export interface RolloutRequest {
  readonly action: string;
  readonly group: string;
  /** `null`: since the newest wave of wishes began. */
  readonly since: number | null;
}

export interface RolloutFacts {
  /** All that are known; those of other groups do not count. */
  readonly nodes: readonly NodeDocument[];
  /** What stands in the queues of the action's locks. */
  readonly claims: readonly RolloutClaim[];
  readonly freezes: readonly Freeze[];
  /** The locks that the action has where a node's document does not say it. */
  readonly locks: readonly string[];
  readonly now: StoreTime;
}

/** The locks under which an action runs on the nodes of a group, sorted. */
export function locksOfAction(action: string, group: string, nodes: readonly NodeDocument[]): readonly string[] {
  const locks = nodes.flatMap((node) => (node.group === group ? (actionOf(node, action)?.lock ?? []) : []));
  return [...new Set(locks)].sort();
}

export function rolloutOf(request: RolloutRequest, facts: RolloutFacts): Rollout {
  const { action, group } = request;
  const nodes = new Map(facts.nodes.flatMap((node) => (node.group === group ? [[node.node, node] as const] : [])));
  const claims = claimsByNode(action, group, facts.claims);
  const wishes = [
    ...[...nodes.values()].flatMap((node) => actionOf(node, action)?.wishedAt ?? []),
    ...[...claims.values()].map((claim) => claim.since),
  ];
  const since = wishes.length === 0 ? null : (request.since ?? waveOf(wishes));
  const names = [...new Set([...nodes.keys(), ...claims.keys()])].sort();
  const seen = names.map((node) => {
    const [claim, document] = [claims.get(node), nodes.get(node)];
    const last = document === undefined ? undefined : actionOf(document, action);
    const locks = claim !== undefined ? [claim.lock] : last !== undefined ? [last.lock] : facts.locks;
    const [freeze] = locks.flatMap((lock) => bindingFreezes(facts.freezes, { lock, node, group }, facts.now));
    const { state, at, message } = claim === undefined ? ofDocument(last, document, since) : ofClaim(claim);
    const isHeldUp = freeze !== undefined && isToCome(state) && state !== "running";
    return { node, state, at, message: isHeldUp ? `frozen by ${freeze.by}: ${freeze.reason}` : message, isHeldUp, last };
  });
  const each = seen.map(({ node, state, at, message }) => ({ node, state, at, message }));
  const counts = Object.fromEntries(
    ROLLOUT_STATES.map((state) => [state, each.filter((one) => one.state === state).length]),
  ) as Rollout["counts"];
  const hasFailedHolder = [...claims.values()].some((claim) => stateOf(claim) === "failed");
  const isHeldUp = seen.every((one) => !isToCome(one.state) || one.isHeldUp);
  const goesOn = counts.running > 0 || (!hasFailedHolder && !isHeldUp);
  const ran = seen.flatMap(({ state, last }) => (state === "done" ? (last ?? []) : []));
  return { action, group, since, counts, etaMs: etaOf({ counts, ran, since, goesOn, now: facts.now.ms }), each };
}

// Whoever rolls out by hand takes a while between the nodes; whoever rolls out again the next day has begun anew.
const WAVE_GAP_MS = 3_600_000;

/** When the newest wave of wishes began: the newest wish, and back from it as long as the next older one is within the hour. */
function waveOf(wishes: readonly number[]): number {
  const newestFirst = [...wishes].sort((one, other) => other - one);
  let began = newestFirst[0] as number;
  for (const wish of newestFirst) {
    if (began - wish > WAVE_GAP_MS) break;
    began = wish;
  }
  return began;
}

/** Whether a node in this state will still do its part by itself. */
function isToCome(state: RolloutState): boolean {
  return state !== "done" && state !== "failed";
}

const WEIGHTS: { readonly [S in "failed" | "running" | "waiting"]: number } = { failed: 2, running: 1, waiting: 0 };

/** The claim of each node that says most: one that has failed before one that runs, and that before one that waits. */
function claimsByNode(action: string, group: string, claims: readonly RolloutClaim[]): ReadonlyMap<string, RolloutClaim> {
  const chosen = new Map<string, RolloutClaim>();
  for (const claim of claims) {
    const { owner } = claim;
    if (owner.action !== action || (owner.group ?? DEFAULT_GROUP) !== group) continue;
    const other = chosen.get(owner.node);
    if (other === undefined || WEIGHTS[stateOf(claim)] > WEIGHTS[stateOf(other)]) chosen.set(owner.node, claim);
  }
  return chosen;
}

function stateOf({ condition }: RolloutClaim): "failed" | "running" | "waiting" {
  switch (condition) {
    case "failed":
    case "stale":
      return "failed";
    case "waiting":
      return "waiting";
    case "running":
    case "draining":
    case "verifying":
    case "soaking":
    case "rebooting":
    case "open":
    case "leased":
      return "running";
  }
}

type Finding = Omit<RolloutNode, "node">;

function ofClaim(claim: RolloutClaim): Finding {
  const { condition, failure, stage, since } = claim;
  const state = stateOf(claim);
  if (condition === "failed") return { state, at: failure?.at ?? since, message: failure?.message ?? "" };
  if (condition === "stale") return { state, at: since, message: "stale: its agent is gone, and it keeps the lock" };
  if (condition === "running" || condition === "waiting") return { state, at: since, message: "" };
  const until = stage === undefined || stage.until === null ? "" : ` until ${isoTime(stage.until)}`;
  return { state, at: stage?.since ?? since, message: `${condition}${until}` };
}

function ofDocument(last: NodeAction | undefined, document: NodeDocument | undefined, since: number | null): Finding {
  if (last !== undefined && isSince(last, since)) {
    if (isFulfilled(last)) return { state: "done", at: last.at, message: last.outcome === "ran" ? "" : outcomeWords(last) };
    if (last.outcome === "failed") return { state: "failed", at: last.at, message: last.message };
  }
  if (last !== undefined && last.pendingSince !== null)
    return { state: "pending", at: last.pendingSince, message: outcomeWords(last) };
  const isUnseen = document !== undefined && since !== null && document.seenAt < since;
  return { state: "notYet", at: null, message: isUnseen ? `last seen ${isoTime(document.seenAt)}` : "" };
}

/** Whether an outcome belongs to what began at `since`: the wish is so young, or the work under it began so late. */
function isSince({ wishedAt, at, ranMs }: NodeAction, since: number | null): boolean {
  return since === null || wishedAt >= since || at - (ranMs ?? 0) >= since;
}

interface Pace {
  readonly counts: Rollout["counts"];
  /** What the nodes that are done have to show. */
  readonly ran: readonly NodeAction[];
  readonly since: number | null;
  readonly goesOn: boolean;
  readonly now: number;
}

/**
 * The time that what remains will take, at the pace of those that have run since. What was not needed took no time, and says nothing
 * of the pace.
 */
function etaOf({ counts, ran, since, goesOn, now }: Pace): number | null {
  const remaining = counts.running + counts.waiting + counts.pending + counts.notYet;
  if (since === null) return null;
  if (remaining === 0) return counts.failed === 0 ? 0 : null;
  const worked = ran.filter(({ ranMs }) => ranMs !== null);
  if (!goesOn || worked.length === 0) return null;
  const began = Math.max(since, Math.min(...worked.map(({ wishedAt }) => wishedAt)));
  return Math.round((Math.max(0, now - began) / worked.length) * remaining);
}
