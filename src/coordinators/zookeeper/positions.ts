// Where this process's claims stand in a queue, with the keys in clear that the znodes' names carry only as hashes.
import type { EntryRef, Ahead, QueuePosition } from "../../locks/coordinator.js";
import { ClaimLostError } from "../../locks/errors.js";
import { type ClaimName, furthest, hashKey, notBehind, orderClaims } from "./layout.js";
import type { IsWanted } from "./wire/messages.js";
import { SharedReads } from "./reads.js";
import type { Wire } from "./wire/wire.js";

/**
 * For so long, in milliseconds, a list that several claims have shared serves another of them. A list of ten thousand takes the server as
 * long as some twenty hand-offs: a list for each hand-off would make a line cost the square of its length.
 */
const KEPT_FOR_MS = 1_000;

// Where more ask at once, one new list for all of them costs the server less.
const MOST_ASKING = 4;

// A process that runs for years sees keys without end, but far fewer stand in line at one time.
const MOST_KEYS = 100_000;

/** A list that several claims have shared, kept for those that ask next. */
interface KeptList {
  readonly list: QueueList;
  readonly readAt: number;
  /** The entries that it has served since it was read: once each. */
  readonly given: Set<string>;
  asking: number;
}

export class Positions {
  readonly #clock: () => number;
  /** The keys of this process's drafts, by their hashes, the latest at the end. */
  readonly #keys = new Map<string, string>();
  readonly #lists = new WeakMap<Wire, SharedReads<() => string | null, QueueList>>();
  /** By connection and folder. */
  readonly #kept = new WeakMap<Wire, Map<string, KeptList>>();

  /** @param clock in milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Notes a key, so that claims with the same hash are shown to have it. */
  rememberKey(key: string | null): void {
    if (key === null) return;
    const hash = hashKey(key);
    this.#keys.delete(hash);
    this.#keys.set(hash, key);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > MOST_KEYS && oldest !== undefined) this.#keys.delete(oldest);
  }

  /**
   * A queue as the server lists it after this call, and after the requests that were sent before on the same connection: a server answers
   * them in their order. All who ask meanwhile share the next list. A claim may rely on such a list when it was created before the list
   * was requested: nobody enters ahead of a claim, so the list has everyone who is still ahead, and at most some who have left since.
   * @param own called when the list is read: gives the name behind which nothing is wanted, `null` to want everything
   */
  list(wire: Wire, folder: string, own: () => string | null): Promise<QueueList> {
    let lists = this.#lists.get(wire);
    if (lists === undefined) this.#lists.set(wire, (lists = new SharedReads()));
    return lists.share(folder, own, async (owns) => {
      let isAhead: IsWanted | undefined;
      const children = await wire.getChildren(folder, (bytes, from, to) => {
        if (isAhead === undefined) {
          const last = furthest(owns.map((each) => each()));
          isAhead = last === null ? () => true : notBehind(last);
        }
        return isAhead(bytes, from, to);
      });
      const list = new QueueList(orderClaims(children ?? []), (key) => this.#keyOf(key));
      this.#keep(wire, folder, list, owns.length);
      return list;
    });
  }

  /**
   * Where an entry of this process's stands. `ahead` has everyone who is still there, and perhaps some who have left since the list was
   * read: a waiter that watches one of those is told at once, and gets a new list the next time. The server is asked in any case whether
   * the entry itself exists, and its answer is no older than this call.
   * @throws ClaimLostError when the entry does not exist
   */
  async positionOf(wire: Wire, folder: string, entry: EntryRef): Promise<QueuePosition> {
    const kept = this.#keptFor(wire, folder, entry.ref);
    if (kept === null) return (await this.list(wire, folder, () => entry.ref)).positionOf(entry);
    kept.asking += 1;
    try {
      if ((await wire.exists(`${folder}/${entry.ref}`)) === null) throw takenOutError(entry);
    } finally {
      kept.asking -= 1;
    }
    return kept.list.positionOf(entry);
  }

  /** The server has reported that these have left. */
  onLeft(wire: Wire, folder: string, refs: readonly string[]): void {
    this.#kept.get(wire)?.get(folder)?.list.remove(refs);
  }

  #keptFor(wire: Wire, folder: string, ref: string): KeptList | null {
    const lists = this.#kept.get(wire);
    const kept = lists?.get(folder);
    if (lists === undefined || kept === undefined) return null;
    if (this.#clock() - kept.readAt > KEPT_FOR_MS) {
      lists.delete(folder);
      return null;
    }
    if (kept.asking >= MOST_ASKING || kept.given.has(ref) || !kept.list.has(ref)) return null;
    kept.given.add(ref);
    return kept;
  }

  /** A claim that waits alone in its session reads its own lists, and a thousand such sessions keep none. */
  #keep(wire: Wire, folder: string, list: QueueList, askers: number): void {
    const lists = this.#kept.get(wire) ?? new Map<string, KeptList>();
    if (askers < 2 && !lists.has(folder)) return;
    this.#kept.set(wire, lists.set(folder, { list, readAt: this.#clock(), given: new Set(), asking: 0 }));
  }

  /** A hash that is not known belongs to a key that no draft of this process has. */
  #keyOf(hash: string): string {
    return this.#keys.get(hash) ?? `\0${hash}`;
  }
}

/** A queue as the server listed it, parsed once for all claims in it. */
export class QueueList {
  readonly claims: readonly ClaimName[];
  readonly #entries: readonly Ahead[];
  /** The index of each entry, and of each claim's first entry. */
  readonly #indexes = new Map<string, number>();
  readonly #firstIndexes = new Map<string, number>();
  /** Everyone before this index has left, and of those behind it the ones in `#gone`. */
  #front = 0;
  readonly #gone = new Set<string>();

  constructor(claims: readonly ClaimName[], keyOf: (hash: string) => string) {
    this.claims = claims;
    this.#entries = claims.map(({ ref, key, slots }) => ({ ref, key: key === null ? null : keyOf(key), slots }));
    for (const [position, { ref, id }] of claims.entries()) {
      this.#indexes.set(ref, position);
      if (id !== null && !this.#firstIndexes.has(id)) this.#firstIndexes.set(id, position);
    }
  }

  /** Whether another entry of the same claim stands ahead of this one. */
  isDouble(id: string, ref: string): boolean {
    return this.#firstIndexes.get(id) !== this.#indexes.get(ref);
  }

  /**
   * An entry's place in the queue.
   * @throws ClaimLostError when the entry is not in the list
   */
  positionOf({ lock, ref, revision }: EntryRef): QueuePosition {
    const position = this.#indexes.get(ref);
    if (position === undefined) throw takenOutError({ lock, ref });
    return new SharedPosition(lock, ref, revision, () => this.#ahead(position));
  }

  has(ref: string): boolean {
    return this.#indexes.has(ref);
  }

  /** These have left: from now on they are ahead of nobody. */
  remove(refs: readonly string[]): void {
    for (const ref of refs) if ((this.#indexes.get(ref) ?? -1) >= this.#front) this.#gone.add(ref);
    for (
      let next = this.#entries[this.#front];
      next !== undefined && this.#gone.delete(next.ref);
      next = this.#entries[this.#front]
    )
      this.#front += 1;
  }

  #ahead(position: number): readonly Ahead[] {
    const ahead = this.#entries.slice(this.#front, Math.max(position, this.#front));
    return this.#gone.size === 0 ? ahead : ahead.filter(({ ref }) => !this.#gone.has(ref));
  }
}

/** A thousand claims in one list have half a million places ahead of them, so each position cuts out its own when someone reads it. */
class SharedPosition implements QueuePosition {
  readonly lock: string;
  readonly ref: string;
  readonly revision: number;
  readonly #ahead: () => readonly Ahead[];

  constructor(lock: string, ref: string, revision: number, ahead: () => readonly Ahead[]) {
    this.lock = lock;
    this.ref = ref;
    this.revision = revision;
    this.#ahead = ahead;
  }

  get ahead(): readonly Ahead[] {
    return this.#ahead();
  }
}

/** The error for a claim that is not in its queue although its session lives. */
export function takenOutError({ lock, ref }: Pick<EntryRef, "lock" | "ref">): ClaimLostError {
  return new ClaimLostError(`the claim was taken out of the queue of ${lock}`, { hint: `someone removed the entry ${ref}` });
}
