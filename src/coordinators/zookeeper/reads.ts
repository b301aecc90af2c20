// Reading from ZooKeeper: queues with everything that is known of their claims, lock names, whole trees, and reads that many callers
// share. All of it is safe to repeat. The history is history.ts's.
import { bareRecord, type Claim, type ClaimRecord } from "../../locks/claim.js";
import type { ClaimName, Layout } from "./layout.js";
import { decodeName, FOREIGN_READERS, hashKey, orderClaims, orderFormerRecords, parseRecordName, segmentsAmong } from "./layout.js";
import { decodeClaim, fencingTokenOf } from "./records.js";
import type { Stat } from "./wire/protocol.js";
import { WireError, ZK } from "./wire/protocol.js";
import type { Wire } from "./wire/wire.js";

/** The `first` claims of a lock's queue in order, without entries that leave during the read. */
export async function fetchQueue(wire: Wire, layout: Layout, lock: string, first: number): Promise<Claim[]> {
  const path = layout.lock(lock);
  // One round trip for both lists, and one for all the entries. A caller that wants only a few asks for their liveness alone: the list of
  // all liveness entries has every durable claim of the root.
  const isAll = first === Number.POSITIVE_INFINITY;
  const [children, alive] = await Promise.all([wire.getChildren(path), isAll ? wire.getChildren(layout.alive) : null]);
  const living = new Set(alive ?? []);
  const claims: Claim[] = [];
  // Entries further behind make up for those that leave: fewer than `first` means that there are no more.
  const names = orderClaims(children ?? []);
  while (names.length > 0 && claims.length < first) {
    const piece = names.splice(0, first - claims.length);
    const nodes = await Promise.all(
      piece.map(async ({ ref, id }) => {
        const isAlive = isAll || id === null ? null : wire.exists(layout.aliveOf(id));
        const [node, stat] = await Promise.all([wire.getData(`${path}/${ref}`), isAlive]);
        if (stat !== null && id !== null) living.add(id);
        return node;
      }),
    );
    for (const [index, name] of piece.entries()) {
      const node = nodes[index];
      if (node) claims.push(claimOf(lock, name, node.data, node.stat, living));
    }
  }
  return claims;
}

/**
 * All entries of a claim, sorted by lock. Lists every lock, because nothing else knows where a claim stands, and reads only the claim's
 * own entries, whose names have its id.
 */
export async function findEntries(wire: Wire, layout: Layout, id: string): Promise<Claim[]> {
  const places: { readonly lock: string; readonly path: string; readonly name: ClaimName }[] = [];
  await walk(wire, layout.locks, (folder, children) => {
    const lock = decodeName(folder);
    const named = children.filter((child) => child.includes(id));
    if (lock === null || named.length === 0) return;
    for (const name of orderClaims(named)) {
      if ((name.id ?? name.ref) === id) places.push({ lock, path: `${layout.locks}/${folder}/${name.ref}`, name });
    }
  });
  if (places.length === 0) return [];
  const isAlive = wire.exists(layout.aliveOf(id));
  const [alive, ...nodes] = await Promise.all([isAlive, ...places.map(({ path }) => wire.getData(path))]);
  const living = new Set(alive === null ? [] : [id]);
  return places
    .flatMap(({ lock, name }, index) => {
      const node = nodes[index];
      return node ? [claimOf(lock, name, node.data, node.stat, living)] : [];
    })
    .sort((one, other) => (one.lock < other.lock ? -1 : Number(one.lock > other.lock)));
}

/** A claim from its znode. Data that are no record of Holdline's make a claim all the same: garbage never frees a lock. */
export function claimOf(lock: string, name: ClaimName, data: string, stat: Stat, living: ReadonlySet<string>): Claim {
  const written = name.id === null ? null : decodeClaim(data);
  const record = written?.record ?? foreignRecord(data);
  const durable = stat.ephemeralOwner === null;
  return {
    ...record,
    id: name.id ?? name.ref,
    lock,
    ref: name.ref,
    // All contenders go by the name's tag. The record only adds the key in clear.
    key: keyOf(name, record),
    slots: name.slots,
    revision: stat.version,
    durable,
    alive: !durable || record.lease !== null || (name.id !== null && living.has(name.id)),
    since: stat.ctime,
    fencingToken: durable ? fencingTokenOf(written, stat) : null,
  };
}

function keyOf(name: ClaimName, record: ClaimRecord): string | null {
  if (name.key === null || name.key === FOREIGN_READERS) return name.key;
  return record.key !== null && hashKey(record.key) === name.key ? record.key : `unreadable key ${name.key}`;
}

// Matches nearly every address and name. The pattern for all others takes long to compile.
const PLAIN = /^[\x20-\x7e]{1,255}$/;

/** The record shown for a contender that is not Holdline's: Curator and kazoo write an address or a name as its data. */
export function foreignRecord(data: string): ClaimRecord {
  const said = PLAIN.test(data) || /^[\p{L}\p{N}\p{P}\p{S} ]{1,255}$/u.test(data) ? data : "unknown";
  return bareRecord({ node: said, principal: "foreign client", action: null, process: null });
}

/** The names of all locks that have claims, sorted. */
export async function listLocks(wire: Wire, layout: Layout): Promise<string[]> {
  const locks: string[] = [];
  await walk(wire, layout.locks, (path, children) => {
    const name = decodeName(path);
    if (name !== null && orderClaims(children).length > 0) locks.push(name);
  });
  return locks.sort();
}

/**
 * The paths of all folders, claims (other clients' as well), records and documents. Some may not exist, and those in a folder that these
 * credentials may not list are missing.
 */
export async function listPaths(wire: Wire, { root, locks, alive, history, clock, documents }: Layout): Promise<string[]> {
  const records = ((await unlessForbidden(wire.getChildren(history))) ?? []).filter((name) => parseRecordName(name) !== null);
  const texts = (await unlessForbidden(wire.getChildren(documents))) ?? [];
  const paths = [root, locks, alive, history, clock, documents];
  paths.push(...records.map((name) => `${history}/${name}`), ...texts.map((name) => `${documents}/${name}`));
  for (const base of [locks, history]) {
    await walk({ getChildren: (path) => unlessForbidden(wire.getChildren(path)) }, base, (folder, children) => {
      const path = `${base}/${folder}`;
      const own = base === locks ? orderClaims(children).map(({ ref }) => ref) : orderFormerRecords(children);
      paths.push(path, ...own.map((name) => `${path}/${name}`));
    });
  }
  return paths;
}

/** The answer; `null` when these credentials may not ask. */
export async function unlessForbidden<T>(asked: Promise<T | null>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof WireError && error.zk === ZK.noAuth) return null;
    throw error;
  }
}

/** Visits every znode below `base` that stands for a part of a lock's name. */
export async function walk(
  wire: Pick<Wire, "getChildren">,
  base: string,
  visit: (path: string, children: readonly string[]) => void,
): Promise<void> {
  for (let level = [""]; level.length > 0;) {
    const lists = await inRounds(level, (path) => wire.getChildren(path === "" ? base : `${base}/${path}`));
    const next: string[] = [];
    for (const [index, path] of level.entries()) {
      const children = lists[index] ?? [];
      if (path !== "") visit(path, children);
      for (const segment of segmentsAmong(children)) next.push(path === "" ? segment : `${path}/${segment}`);
    }
    level = next;
  }
}

// How many requests are under way at once. Each round takes one round trip, so ten thousand locks take some forty, and no server has to
// queue more than this for one client.
const ROUND = 256;

export async function inRounds<T, R>(items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  for (let from = 0; from < items.length; from += ROUND) {
    answers.push(...(await Promise.all(items.slice(from, from + ROUND).map(ask))));
  }
  return answers;
}

interface Read<A, T> {
  /** The callers that it will serve. More may join until it begins. */
  readonly askers: A[];
  readonly outcome: Promise<T>;
  readonly begin: () => void;
}

/**
 * One read for all who want the same thing at the same time: of each thing at most one read is under way, and one more is to follow.
 *
 * A caller gets a read that began after its call, never one that was under way: a list that the server made before a claim was created
 * does not have the claim. So the number of reads does not grow with the number of callers, and a caller that is alone waits only
 * for its own.
 */
export class SharedReads<A, T> {
  readonly #underWay = new Set<string>();
  readonly #next = new Map<string, Read<A, T>>();

  /**
   * @param key names the thing to read
   * @param read begins in this turn when nobody else reads that key. It must end by itself, because no one caller's signal ends it
   */
  share(key: string, asker: A, read: (askers: readonly A[]) => Promise<T>): Promise<T> {
    const next = this.#next.get(key);
    if (next !== undefined) {
      next.askers.push(asker);
      return next.outcome;
    }
    if (!this.#underWay.has(key)) return this.#begin(key, [asker], read);
    const askers = [asker];
    let begin = (): void => undefined;
    const outcome = new Promise<T>((resolve, reject) => {
      begin = () => void this.#begin(key, askers, read).then(resolve, reject);
    });
    this.#next.set(key, { askers, outcome, begin });
    return outcome;
  }

  async #begin(key: string, askers: readonly A[], read: (askers: readonly A[]) => Promise<T>): Promise<T> {
    this.#underWay.add(key);
    try {
      return await read(askers);
    } finally {
      this.#underWay.delete(key);
      const next = this.#next.get(key);
      this.#next.delete(key);
      next?.begin();
    }
  }
}
