// Freezing and thawing by hand, in every store that may have one of the locks. Every change of the freezes puts away those whose time is over, and the history tells of
// each: a freeze stands there once for each of its patterns.
import { readFreezesToBegin } from "../line/freezes.js";
import type { Owner } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { isoTime } from "../locks/durations.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { encodeFreezes, type Freeze, FREEZES_DOCUMENT, isInForce } from "../locks/freezes.js";
import type { Notice } from "../locks/history.js";
import { isPlain, MovedError, PLAIN_ROOT } from "../locks/root.js";

/** What is to be frozen. */
export interface FreezeRequest {
  /** A UUID of the caller's: by it the freeze is found again after a lost reply, and in other stores. */
  readonly id: string;
  /** Patterns of locks, at least one. */
  readonly locks: readonly string[];
  readonly node: string | null;
  readonly group: string | null;
  readonly reason: string;
  /** How long, in milliseconds by the store's clock; `null`: until it is thawed. */
  readonly forMs: number | null;
}

/** Who freezes or thaws, for the history. */
export interface Freezer {
  /** Its principal is who did it. */
  readonly owner: Owner;
  /** Throws for a freeze that this one may not end. By default all may be ended. */
  readonly requireOver?: (freeze: Freeze) => void;
  readonly signal?: AbortSignal;
}

/** A store that may have locks to freeze. */
export interface FreezePlace {
  /** What people know it by, without secrets. */
  readonly name: string;
  open(): Promise<Coordinator>;
}

/**
 * Freezes in every store, under one id.
 * @throws HoldlineError what the first store says that cannot do it, and where it is frozen all the same
 */
export async function freezeEverywhere(places: readonly FreezePlace[], request: FreezeRequest, freezer: Freezer): Promise<Freeze> {
  const { done, failed } = await inEach(places, freezer, (coordinator) => freezeLocks(coordinator, request, freezer));
  const [first] = done;
  if (failed !== null && first === undefined) throw failed.error;
  if (failed !== null) {
    const where = done.map(({ name }) => name).join(", ");
    throw inPart(failed, `frozen only in part, as ${request.id}: in ${where}, but not in ${failed.name}`, {
      hint: `that part stays frozen until: holdline thaw ${request.id}; freeze again when the other store answers`,
    });
  }
  if (first === undefined) throw new HoldlineError("bug", "no store to freeze in");
  return first.result;
}

/**
 * Thaws in every store.
 * @param id of one freeze; `null`: all, and what stands in their place that cannot be read
 * @returns the freezes that were ended, each once
 * @throws HoldlineError what the first store says that cannot do it
 */
export async function thawEverywhere(
  places: readonly FreezePlace[],
  id: string | null,
  freezer: Freezer,
): Promise<readonly Freeze[]> {
  const { done, failed } = await inEach(places, freezer, (coordinator) => thawLocks(coordinator, id, freezer));
  const thawed = new Map(done.flatMap(({ result }) => result.map((freeze) => [freeze.id, freeze] as const)));
  if (failed !== null) {
    if (places.length === 1) throw failed.error;
    throw inPart(failed, `thawed only in part: it may still be frozen in ${failed.name}`, {
      hint: "thaw again when the store answers; that is safe",
    });
  }
  return [...thawed.values()];
}

interface Failed {
  readonly name: string;
  readonly error: unknown;
}

/** Does it in each store, whatever the others say. */
async function inEach<T>(places: readonly FreezePlace[], { signal }: Freezer, work: (coordinator: Coordinator) => Promise<T>) {
  const done: { readonly name: string; readonly result: T }[] = [];
  let failed: Failed | null = null;
  for (const place of places) {
    try {
      done.push({ name: place.name, result: await work(await place.open()) });
    } catch (error) {
      signal?.throwIfAborted();
      failed ??= { name: place.name, error };
    }
  }
  return { done, failed };
}

function inPart({ error }: Failed, message: string, { hint }: { readonly hint: string }): HoldlineError {
  const code = error instanceof HoldlineError ? error.code : "bug";
  return new HoldlineError(code, `${message}: ${messageOf(error)}`, { hint, cause: error });
}

/**
 * Freezes. Safe to repeat: a freeze with this id is there once.
 * @throws HoldlineError `conflict` where the id is that of a freeze of something else, `configuration` where the store's freezes cannot be read, `not-allowed` where it refuses the write
 * @throws UnreachableError when the store does not answer
 */
export async function freezeLocks(coordinator: Coordinator, request: FreezeRequest, freezer: Freezer): Promise<Freeze> {
  const { forMs, ...frozen } = request;
  let made: Freeze | null = null;
  await change(coordinator, freezer, (present, now) => {
    made = present.find(({ id }) => id === request.id) ?? null;
    if (made !== null) {
      // Whoever hears that it is frozen must find frozen what was asked for.
      if (saysSame(made, frozen)) return null;
      throw new HoldlineError("conflict", `the id ${request.id} is that of another freeze`, {
        hint: "give each freeze an id of its own",
      });
    }
    made = { ...frozen, by: freezer.owner.principal, since: now, until: forMs === null ? null : now + Math.ceil(forMs) };
    return { freezes: [...present, made], notices: noticesOf(made, "frozen", freezer) };
  });
  if (made === null) throw new HoldlineError("bug", "a freeze was neither made nor found");
  return made;
}

function saysSame(one: Freeze, other: Omit<FreezeRequest, "forMs">): boolean {
  const [ofOne, ofOther] = [one, other].map(({ locks, node, group, reason }) => JSON.stringify([locks, node, group, reason]));
  return ofOne === ofOther;
}

/**
 * Ends freezes.
 * @param id of one; `null`: of all, and what stands in their place that cannot be read
 * @returns those that were ended by this; none where there was nothing to end
 */
export async function thawLocks(coordinator: Coordinator, id: string | null, freezer: Freezer): Promise<readonly Freeze[]> {
  let thawed: readonly Freeze[] = [];
  await change(
    coordinator,
    freezer,
    (present) => {
      const ended = present.filter((freeze) => id === null || freeze.id === id);
      if (freezer.requireOver !== undefined) ended.forEach(freezer.requireOver);
      // After a lost reply the freeze may be gone by this very call.
      if (ended.length > 0) thawed = ended;
      if (ended.length === 0 && id !== null) return null;
      return {
        freezes: present.filter((freeze) => !ended.includes(freeze)),
        notices: ended.flatMap((freeze) => noticesOf(freeze, "thawed", freezer)),
      };
    },
    id === null,
  );
  return thawed;
}

interface Changed {
  readonly freezes: readonly Freeze[];
  readonly notices: readonly Notice[];
}

/**
 * @param edit is given the freezes in force and the store's time; `null`: nothing is to be changed. It is asked again when somebody else
 *   has written meanwhile
 * @param isAnew whether what cannot be read counts as none, so that it is written anew
 */
async function change(
  coordinator: Coordinator,
  freezer: Freezer,
  edit: (present: readonly Freeze[], now: number) => Changed | null,
  isAnew = false,
): Promise<void> {
  const { signal } = freezer;
  for (;;) {
    // First, so that the server that answers is not behind: where it shows no freeze to thaw, there is none.
    const time = await coordinator.sync(signal);
    const { freezes, revision, root } = await read(coordinator, isAnew, signal);
    const present = freezes.filter((freeze) => isInForce(freeze, time));
    const changed = edit(present, time.ms);
    if (changed === null) return;
    const over = freezes.filter((freeze) => !present.includes(freeze)).flatMap((freeze) => noticesOf(freeze, "thawed", null));
    const value = changed.freezes.length === 0 && isPlain(root) ? null : encodeFreezes(changed.freezes, root);
    if (value === null && revision === 0) return;
    const notices = [...over, ...changed.notices];
    if ((await coordinator.writeDocument(FREEZES_DOCUMENT, value, revision, signal, notices)) === "done") return;
  }
}

async function read(coordinator: Coordinator, isAnew: boolean, signal: AbortSignal | undefined) {
  try {
    return await readFreezesToBegin(coordinator, signal);
  } catch (error) {
    if (!isAnew || !(error instanceof HoldlineError) || error.code !== "configuration" || error instanceof MovedError) throw error;
    return { freezes: [], root: PLAIN_ROOT, revision: (await coordinator.document(FREEZES_DOCUMENT, signal))?.revision ?? 0 };
  }
}

/** @param freezer who did it; `null`: the freeze's time was over, and nobody did */
function noticesOf(freeze: Freeze, event: Notice["event"], freezer: Freezer | null): readonly Notice[] {
  const { id, locks, node, group, reason, by, since, until } = freeze;
  const owner = freezer?.owner ?? { node: "unknown", principal: by, action: null, process: null };
  return locks.map((lock) => ({
    ...{
      lock,
      id,
      event,
      owner,
      reason,
      by: freezer?.owner.principal ?? null,
      data: { locks, node, group, until: until === null ? null : isoTime(until) },
    },
    since: event === "frozen" ? null : since,
    ...(freezer === null && until !== null ? { endedAt: until } : {}),
  }));
}
