// The claims of a root: reading all of them as they stand, whether they can be taken elsewhere, and putting them into another root in the
// same order. A claim that was put there is durable, and belongs to nobody who lives once the copier has gone.
import { isDeepStrictEqual } from "node:util";
import type { Claim, ClaimRecord } from "../locks/claim.js";
import type { Coordinator, Draft } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import type { Ending, EndEvent, HistoryRecord } from "../locks/history.js";
import type { Place } from "./place.js";

/** A claim with its entries in all queues. */
export interface WholeClaim {
  readonly id: string;
  /** One for each of its locks. */
  readonly entries: readonly Claim[];
}

/** A lock in which copiers stand for a moment, to see how far the store has come. They are no part of what is copied. */
export const COPIERS_LOCK = "holdline-copy";

/** All claims of a root in an order in which each comes behind those that are ahead of it in a queue. */
export async function readAllClaims({ name, coordinator }: Place, signal?: AbortSignal): Promise<readonly WholeClaim[]> {
  const queues = new Map<string, Claim[]>();
  const entries = new Map<string, Claim[]>();
  for (const lock of await coordinator.list(signal)) {
    const standing = await coordinator.queue(lock, signal);
    const queue = standing.filter(({ durable }) => durable || lock !== COPIERS_LOCK);
    queues.set(lock, queue);
    for (const claim of queue) entries.set(claim.id, [...(entries.get(claim.id) ?? []), claim]);
  }
  const firstIn = (lock: string): Claim | undefined => queues.get(lock)?.[0];
  const ordered: WholeClaim[] = [];
  // Claims join all their queues at one moment, so there is always one that is the first in each of its own.
  for (const looked = [...queues.keys()].reverse(); looked.length > 0;) {
    const id = firstIn(looked.pop() as string)?.id;
    const its = id === undefined ? undefined : entries.get(id);
    if (id === undefined || its?.every(({ lock }) => firstIn(lock)?.id === id) !== true) continue;
    ordered.push({ id, entries: its });
    entries.delete(id);
    for (const { lock } of its) queues.get(lock)?.shift();
    looked.push(...its.map(({ lock }) => lock));
  }
  if (entries.size > 0) throw inUse(name, "its queues change while they are read");
  return ordered;
}

/** @throws HoldlineError `conflict` where somebody waits or works, `configuration` where a claim cannot be taken elsewhere */
export function requireUnused({ name }: Place, claims: readonly WholeClaim[]): void {
  for (const { id, entries } of claims) {
    const [claim] = entries as [Claim];
    const { lock, owner } = claim;
    if (entries.some(({ durable }) => !durable))
      throw inUse(name, `${owner.node} waits for ${lock}, or holds it while it runs (claim ${id})`);
    if (entries.some(({ alive, lease }) => alive && lease === null))
      throw inUse(name, `${owner.node} works under ${lock} (claim ${id})`);
    if (owner.principal === "foreign client" || (owner.node === "unknown" && owner.principal === "unknown")) {
      throw new HoldlineError(
        "configuration",
        `${name} has a claim on ${lock} that cannot be read, and so cannot be taken elsewhere: ${id}`,
        {
          hint: `see what it is, and end it: holdline clear '${lock}' --claim ${id} --reason TEXT`,
        },
      );
    }
  }
}

function inUse(name: string, what: string): HoldlineError {
  return new HoldlineError("conflict", `${name} is in use: ${what}`, {
    hint: "stop the agents and `serve`, let what runs come to its end, and copy again",
  });
}

/** The part of a claim that its owner has written. */
export function recordOf(claim: Claim): ClaimRecord {
  const { owner, key, slots, made, lease, expiresAt, reason, data, failure, stage, percent } = claim;
  return {
    ...{ owner, key, slots, made, lease, expiresAt, reason, data, failure },
    ...(stage === undefined ? {} : { stage }),
    ...(percent === undefined ? {} : { percent }),
  };
}

/** Makes the claims of a root those that are wanted. @param history of the root that they come from: how those ended that are not wanted any more */
export async function bringClaims(
  place: Place,
  wanted: readonly WholeClaim[],
  history: readonly HistoryRecord[],
  signal?: AbortSignal,
): Promise<void> {
  const { coordinator } = place;
  const present = new Map((await readAllClaims(place, signal)).map((claim) => [claim.id, claim]));
  const ids = new Set(wanted.map(({ id }) => id));
  for (const [id, { entries }] of present) {
    if (ids.has(id)) continue;
    // Under the same id nothing of an earlier copy is left but what has become durable: the rest went with its session.
    requireDone(place, await coordinator.leave(id, entries, endingOf(id, history), signal));
  }
  for (const { id, entries } of wanted) {
    const there = present.get(id);
    const [claim] = entries as [Claim];
    if (there === undefined) await putClaim(coordinator, id, entries, signal);
    else if (!isDeepStrictEqual(recordOf(there.entries[0] as Claim), recordOf(claim))) {
      const settled = {
        entries: there.entries,
        fencingToken: Math.max(...there.entries.map(({ fencingToken }) => fencingToken ?? 0)),
      };
      requireDone(place, await coordinator.update(id, settled, recordOf(claim), signal));
    }
  }
}

async function putClaim(coordinator: Coordinator, id: string, entries: readonly Claim[], signal?: AbortSignal): Promise<void> {
  const record = recordOf(entries[0] as Claim);
  const { owner, key, slots, percent, reason, data, lease } = record;
  const draft: Draft = {
    ...{ id, locks: entries.map(({ lock }) => lock), key, slots, owner, reason, data, settles: true, lease },
    ...(percent === undefined ? {} : { percent }),
  };
  await coordinator.settle(draft, await coordinator.join(draft, signal), record, signal);
}

function requireDone({ name }: Place, outcome: unknown): void {
  if (outcome !== "gone" && outcome !== "changed") return;
  throw inUse(name, "a claim has changed while it was being filled");
}

const ENDS: ReadonlySet<string> = new Set<EndEvent>(["released", "cleared", "expired", "recovered", "failed"]);

/** How a claim has ended where it was. */
function endingOf(id: string, history: readonly HistoryRecord[]): Ending {
  const end = history.find(({ claim, event, isKept }) => claim === id && ENDS.has(event) && !isKept);
  if (end === undefined) return { event: "cleared", by: null, reason: "it ended in the store that it was copied from" };
  const { event, by, reason, failure, endedAt } = end;
  return { event: event as EndEvent, by, reason, endedAt, ...(failure === null ? {} : { failure }) };
}
