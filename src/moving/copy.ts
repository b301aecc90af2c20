// Takes everything from one store's root to another's: durable claims, history, freezes and documents. Only this file knows the order:
//
//   FROM: in use → (frozen, nobody there) moving ─────────────────────────────→ moved
//   TO:   empty  →                        arriving → (all of it is there)         → in use
//                                             ↖ killed: goes on with the next copy
//
// The one moment that counts is when FROM goes from moving to moved. Before it FROM is the truth, and can be left as it was; after it TO
// is. While it moves nothing can settle in either, because settling checks the document that says so.
import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Owner } from "../locks/claim.js";
import { bestEffort, HoldlineError } from "../locks/errors.js";
import type { Freeze } from "../locks/freezes.js";
import type { Log } from "../locks/log.js";
import { PLAIN_ROOT, type Root, whyNotToUse } from "../locks/root.js";
import { bringClaims, COPIERS_LOCK, readAllClaims, recordOf, requireUnused, type WholeClaim } from "./claims.js";
import { type Place, readRootOf, type SeenRoot, writeRootOf } from "./place.js";
import { bringDocuments, bringHistory, readAllDocuments, readAllHistory } from "./records.js";

export interface CopyRequest {
  readonly from: Place;
  readonly to: Place;
  /** Who copies. */
  readonly owner: Owner;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/** What is in the new store now. */
export interface Copied {
  readonly claims: number;
  readonly history: number;
  readonly documents: number;
  readonly freezes: number;
  /** Whether an earlier copy had done it all. */
  readonly isRepeated: boolean;
}

// Somebody may still release a lease or clear a claim meanwhile. Who keeps doing that uses the root.
const MOST_PASSES = 5;

/**
 * Copies. Safe to repeat: it goes on where an earlier one has stopped, or says that all is done.
 * @throws HoldlineError `conflict` where FROM is in use or not frozen, `configuration` where TO is in use, or FROM has moved elsewhere
 * @throws UnreachableError when a store does not answer
 */
export async function copyRoot(request: CopyRequest): Promise<Copied> {
  const { from, to, signal } = request;
  const [source, target] = await Promise.all([readRootOf(from, signal), readRootOf(to, signal)]);
  if (source.root.move?.state === "moved") return finish(request, source, target);
  requireFrozen(from, source);
  requireAnother(request, source, target);
  requireUnused(from, await readAllClaims(from, signal));
  await requireEmpty(to, target, source.root.id);
  const moving = await mark(request, source);
  try {
    const arrived = await fill(request, moving);
    signal?.throwIfAborted();
    const moved = { ...moving.root, move: { state: "moved", to: to.name, since: await timeOf(from) } } as const;
    await writeRootOf(from, moving, { root: moved, freezes: moving.freezes }, []);
    return await finish(request, { ...moving, root: moved }, arrived, false);
  } catch (error) {
    // Only a copy that is killed leaves it marked. Where the mark of the end was written, this changes nothing.
    await bestEffort(request.log, "the store stays marked as being moved until it is copied again", () => reopen(from));
    throw error;
  }
}

/**
 * Leaves everything where it is, after a copy that was killed and is not to be repeated.
 * @returns whether it was being moved
 * @throws MovedError when the copy has come to its end
 */
export async function giveUpCopy(from: Place): Promise<boolean> {
  const { root } = await readRootOf(from);
  if (root.move?.state === "moved") throw whyNotToUse(root) as HoldlineError;
  return reopen(from);
}

async function reopen(from: Place): Promise<boolean> {
  const seen = await readRootOf(from);
  if (seen.root.move?.state !== "moving") return false;
  await writeRootOf(from, seen, { root: { ...seen.root, move: null }, freezes: seen.freezes }, []);
  return true;
}

/** A freeze over everything that no time ends. It goes along, and is thawed where everything is then. */
function requireFrozen({ name }: Place, { freezes, root }: SeenRoot): void {
  if (root.move?.state === "arriving") throw whyNotToUse(root) as HoldlineError;
  const isOfAll = ({ locks, node, group, until }: Freeze): boolean =>
    locks.includes("*") && node === null && group === null && until === null;
  if (freezes.some(isOfAll)) return;
  throw new HoldlineError("conflict", `${name} is not frozen: it could change while it is copied`, {
    hint: "freeze everything there, without --for: holdline freeze --reason 'it moves'; thaw it in the new store",
  });
}

/** A root may have two URLs. No two roots have the same freeze, but for those that are copied. */
function requireAnother({ from, to }: CopyRequest, { freezes }: SeenRoot, target: SeenRoot): void {
  const ids = new Set(freezes.map(({ id }) => id));
  if (target.root.move?.state !== "arriving" && target.freezes.some(({ id }) => ids.has(id)))
    throw inTheWay(to.name, `it is the same root as ${from.name}`);
}

/** @param source the id of the root that an earlier copy may have come from */
async function requireEmpty(place: Place, { root, freezes }: SeenRoot, source: string | null): Promise<void> {
  const { name, coordinator } = place;
  const { move } = root;
  if (move?.state === "arriving") {
    if (move.root === source) return;
    throw inTheWay(name, `it is being filled from ${move.from}, and not from there`);
  }
  if (move !== null) throw inTheWay(name, `it ${move.state === "moved" ? "has moved" : "is being moved"} to ${move.to}`);
  const [claims, history, documents] = await Promise.all([
    readAllClaims(place),
    coordinator.history(null, 1),
    readAllDocuments(place),
  ]);
  const [claim] = claims.flatMap(({ entries }) => entries);
  const found = [
    ...(claim === undefined ? [] : [`a claim on ${claim.lock}`]),
    ...(history.length > 0 ? ["a history"] : []),
    ...(documents.size > 0 ? ["nodes"] : []),
    ...(freezes.length > 0 ? ["freezes"] : []),
    ...(root.arrivedFrom === null ? [] : ["what was copied there before"]),
  ];
  if (found.length > 0) throw inTheWay(name, `it has ${found.join(", ")}`);
}

function inTheWay(name: string, why: string): HoldlineError {
  return new HoldlineError("configuration", `nothing can be copied to ${name}: ${why}`, {
    hint: "name a root, a schema, a prefix or a file that nothing has used yet",
  });
}

/** Marks FROM: from then on nothing settles there, and nothing is adopted. */
async function mark({ from, to, signal }: CopyRequest, source: SeenRoot): Promise<SeenRoot> {
  const move = { state: "moving", to: to.name, since: await timeOf(from) } as const;
  const root: Root = { ...source.root, id: source.root.id ?? randomUUID(), move };
  return writeRootOf(from, source, { root, freezes: source.freezes }, [], signal);
}

async function timeOf({ coordinator }: Place): Promise<number> {
  return (await coordinator.sync()).ms;
}

/** Brings everything to TO, until both have the same. @returns TO as it is then */
async function fill(request: CopyRequest, source: SeenRoot): Promise<SeenRoot> {
  const { from, to, signal } = request;
  let target = await readRootOf(to, signal);
  await requireEmpty(to, target, source.root.id);
  for (let pass = 1; pass <= MOST_PASSES; pass += 1) {
    const wanted = await readAll(request);
    const present = await readAllClaims(to, signal);
    if (present.some(({ entries }) => entries.some(({ durable }) => !durable)))
      throw new HoldlineError("conflict", `${to.name} still has what an earlier copy, which was killed, had in hand`, {
        hint: "copy again once its session has ended, after `session_timeout`",
      });
    const { root, freezes } = await arriving(request, source, target, present);
    if (!isDeepStrictEqual({ root, freezes }, { root: target.root, freezes: target.freezes }))
      target = await writeRootOf(to, target, { root, freezes }, [], signal);
    await bringClaims(to, wanted.claims, wanted.history.toReversed(), signal);
    await bringDocuments(to, wanted.documents, signal);
    target = await bringHistory(to, target, wanted.history, signal);
    if (isSame(wanted, await readAll(request))) return target;
  }
  throw new HoldlineError("conflict", `${from.name} is in use: it changes while it is copied`, {
    hint: "stop what uses it, and copy again",
  });
}

/** What TO says of itself while it is filled. */
async function arriving(
  { from, to, owner, signal }: CopyRequest,
  source: SeenRoot,
  { root }: SeenRoot,
  present: readonly WholeClaim[],
): Promise<Pick<SeenRoot, "root" | "freezes">> {
  const highest = source.root.tokensAbove + (await highestToken(from, owner, signal));
  // What an earlier copy has put there has its tokens already. All others are above what the store has given so far.
  const lowest = Math.min(
    await highestToken(to, owner, signal),
    ...present.flatMap(({ entries }) => entries.map(({ fencingToken }) => fencingToken ?? 0)),
  );
  const move = root.move ?? ({ state: "arriving", from: from.name, root: source.root.id ?? "", recorded: 0 } as const);
  const tokensAbove = Math.max(root.tokensAbove, highest - lowest + 1, 0);
  return { root: { ...PLAIN_ROOT, tokensAbove, move }, freezes: source.freezes };
}

/** A number that none of the tokens that a store has given out is above. Joining tells it. */
async function highestToken({ coordinator }: Place, owner: Owner, signal?: AbortSignal): Promise<number> {
  const draft = { id: randomUUID(), locks: [COPIERS_LOCK], key: null, slots: 1, owner, reason: "copying", data: null } as const;
  const { session, positions } = await coordinator.join({ ...draft, settles: false, lease: null }, signal);
  const highest = session.latestRevision();
  await coordinator.withdraw(positions);
  return highest;
}

type Contents = Awaited<ReturnType<typeof readAll>>;

/** All that is to be brought. */
async function readAll({ from, signal }: CopyRequest) {
  const claims = await readAllClaims(from, signal);
  requireUnused(from, claims);
  return { claims, history: await readAllHistory(from, signal), documents: await readAllDocuments(from, signal) };
}

function isSame(one: Contents, other: Contents): boolean {
  const claimsIn = ({ claims }: Contents) =>
    claims.map(({ id, entries }) => ({ id, entries: entries.map((entry) => [entry.lock, recordOf(entry)]) }));
  return (
    isDeepStrictEqual(claimsIn(one), claimsIn(other)) &&
    isDeepStrictEqual(one.history, other.history) &&
    isDeepStrictEqual(one.documents, other.documents)
  );
}

/** FROM has moved: lets TO be used, unless that was done. */
async function finish({ from, to, signal }: CopyRequest, source: SeenRoot, target: SeenRoot, isRepeated = true): Promise<Copied> {
  const { root, freezes } = target;
  const isArriving = root.move?.state === "arriving" && root.move.root === source.root.id;
  if (!isArriving && (root.arrivedFrom === null || root.arrivedFrom !== source.root.id)) {
    throw new HoldlineError("configuration", `everything that was in ${from.name} has moved already, and not to ${to.name}`, {
      hint: whyNotToUse(source.root)?.message ?? "",
    });
  }
  if (isArriving)
    await writeRootOf(to, target, { root: { ...root, arrivedFrom: source.root.id, move: null }, freezes }, [], signal);
  const [claims, history, documents] = await Promise.all([
    readAllClaims(to, signal),
    readAllHistory(to, signal),
    readAllDocuments(to, signal),
  ]);
  return {
    claims: claims.length,
    history: history.length,
    documents: documents.size,
    freezes: freezes.length,
    isRepeated: isRepeated && !isArriving,
  };
}
