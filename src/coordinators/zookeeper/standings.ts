// Where a claim of ours stands among a lock's children, in the words of the seam: names carry only hashes of keys.
import type { EntryRef, Ahead, QueuePosition } from "../../locks/coordinator.js";
import { ClaimLostError } from "../../locks/errors.js";
import { type ClaimName, furthest, hashKey, notBehind, orderClaims } from "./layout.js";
import type { IsWanted } from "./messages.js";
import { Shared } from "./shared.js";
import type { Wire } from "./wire.js";

/**
 * For so long a list that several have shared is good enough for another of them, in milliseconds. A list of ten thousand takes the
 * server as long as some twenty hand-offs: one for each hand-off would make a line cost the square of its length.
 */
const KEPT_FOR_MS = 1_000;

// Where more ask at once, one new list for all of them is less to ask for.
const MOST_ASKING = 4;

// A server that runs for years is asked for keys without end; of those that stand in line at one time there are far fewer.
const MOST_KEYS = 100_000;

/** A list that several have asked for, kept for those who ask next. */
interface Kept {
  readonly list: QueueList;
  readonly readAt: number;
  /** Who has been given it since it was read: once each. */
  readonly given: Set<string>;
  asking: number;
}

export class Standings {
  readonly #clock: () => number;
  /** The keys of drafts of ours, by their hashes, the one that was asked for last at the end. */
  readonly #keys = new Map<string, string>();
  readonly #lists = new WeakMap<Wire, Shared<() => string | null, QueueList>>();
  /** By connection and folder. */
  readonly #kept = new WeakMap<Wire, Map<string, Kept>>();

  /** @param clock in milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Notes a key, so that claims with the same one are known by it. */
  know(key: string | null): void {
    if (key === null) return;
    const hash = hashKey(key);
    this.#keys.delete(hash);
    this.#keys.set(hash, key);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > MOST_KEYS && oldest !== undefined) this.#keys.delete(oldest);
  }

  /**
   * A queue as the server lists it after this was called, and after what was sent before on the same connection: requests
   * are answered in the order in which they were sent. All who ask meanwhile share the next list. Such a list is safe to
   * stand by for each whose claim was created before it was sent: nobody enters ahead of a claim any more, so it shows all
   * who are still ahead, and at the most some who have left since.
   * @param own asked for when the list is read: the name behind which nothing is wanted, `null` for all
   */
  list(wire: Wire, folder: string, own: () => string | null): Promise<QueueList> {
    let lists = this.#lists.get(wire);
    if (lists === undefined) this.#lists.set(wire, (lists = new Shared()));
    return lists.ask(folder, own, async (owns) => {
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
   * Where an entry of ours stands. Those ahead are all who are still there, and perhaps some who have left since a list was read
   * in which the entry stands: whoever watches one of those is told at once, and is given a new list the next time. The server
   * is asked in any case whether the entry itself is there, and what it answers is no older than this question.
   * @throws ClaimLostError when it is not
   */
  async standing(wire: Wire, folder: string, entry: EntryRef): Promise<QueuePosition> {
    const kept = this.#keptFor(wire, folder, entry.ref);
    if (kept === null) return (await this.list(wire, folder, () => entry.ref)).among(entry);
    kept.asking += 1;
    try {
      if ((await wire.exists(`${folder}/${entry.ref}`)) === null) throw takenOut(entry);
    } finally {
      kept.asking -= 1;
    }
    return kept.list.among(entry);
  }

  /** The server has told that these have left. */
  left(wire: Wire, folder: string, refs: readonly string[]): void {
    this.#kept.get(wire)?.get(folder)?.list.without(refs);
  }

  #keptFor(wire: Wire, folder: string, ref: string): Kept | null {
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

  /** Whoever waits alone in a session reads its own lists, and a thousand such sessions keep none. */
  #keep(wire: Wire, folder: string, list: QueueList, askers: number): void {
    const lists = this.#kept.get(wire) ?? new Map<string, Kept>();
    if (askers < 2 && !lists.has(folder)) return;
    this.#kept.set(wire, lists.set(folder, { list, readAt: this.#clock(), given: new Set(), asking: 0 }));
  }

  /** Those that are not known are keys that no draft of ours has. */
  #keyOf(hash: string): string {
    return this.#keys.get(hash) ?? `\0${hash}`;
  }
}

/** A queue as it was listed, parsed once for all who stand in it. */
export class QueueList {
  readonly claims: readonly ClaimName[];
  readonly #places: readonly Ahead[];
  /** Where each entry stands, and where the first of each claim does. */
  readonly #positions = new Map<string, number>();
  readonly #firsts = new Map<string, number>();
  /** All ahead of this position have left, and of the others these. */
  #front = 0;
  readonly #gone = new Set<string>();

  constructor(claims: readonly ClaimName[], keyOf: (hash: string) => string) {
    this.claims = claims;
    this.#places = claims.map(({ ref, key, slots }) => ({ ref, key: key === null ? null : keyOf(key), slots }));
    for (const [position, { ref, id }] of claims.entries()) {
      this.#positions.set(ref, position);
      if (id !== null && !this.#firsts.has(id)) this.#firsts.set(id, position);
    }
  }

  /** Does another entry of the same claim stand ahead of this one? */
  isDouble(id: string, ref: string): boolean {
    return this.#firsts.get(id) !== this.#positions.get(ref);
  }

  /**
   * One's own place in it.
   * @throws ClaimLostError when it is not there
   */
  among({ lock, ref, revision }: EntryRef): QueuePosition {
    const position = this.#positions.get(ref);
    if (position === undefined) throw takenOut({ lock, ref });
    return new SharedStanding(lock, ref, revision, () => this.#ahead(position));
  }

  has(ref: string): boolean {
    return this.#positions.has(ref);
  }

  /** From now on they are ahead of nobody. */
  without(refs: readonly string[]): void {
    for (const ref of refs) if ((this.#positions.get(ref) ?? -1) >= this.#front) this.#gone.add(ref);
    for (let next = this.#places[this.#front]; next !== undefined && this.#gone.delete(next.ref); next = this.#places[this.#front])
      this.#front += 1;
  }

  #ahead(position: number): readonly Ahead[] {
    const ahead = this.#places.slice(this.#front, Math.max(position, this.#front));
    return this.#gone.size === 0 ? ahead : ahead.filter(({ ref }) => !this.#gone.has(ref));
  }
}

/** A thousand who stand in one list would have half a million places ahead of them: each cuts out its own when it is asked. */
class SharedStanding implements QueuePosition {
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

/** The error of a claim that is not in its queue although its session lives. */
export function takenOut({ lock, ref }: Pick<EntryRef, "lock" | "ref">): ClaimLostError {
  return new ClaimLostError(`the claim was taken out of the queue of ${lock}`, { hint: `someone removed the entry ${ref}` });
}
