// Where a claim of ours stands among a lock's children, in the words of the seam: names carry only hashes of keys.
import type { Entry, Place, Standing } from "../../locks/coordinator.js";
import { ClaimLostError } from "../../locks/errors.js";
import { type ClaimName, furthest, hashKey, notBehind, orderClaims } from "./layout.js";
import type { IsWanted } from "./messages.js";
import { Shared } from "./shared.js";
import type { Wire } from "./wire.js";

// A server that runs for years is asked for keys without end; of those that stand in line at one time there are far fewer.
const MOST_KEYS = 100_000;

export class Standings {
  /** The keys of drafts of ours, by their hashes, the one that was asked for last at the end. */
  readonly #keys = new Map<string, string>();
  readonly #lists = new WeakMap<Wire, Shared<() => string | null, QueueList>>();

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
      return new QueueList(orderClaims(children ?? []), (key) => this.#keyOf(key));
    });
  }

  /** Those that are not known are keys that no draft of ours has. */
  #keyOf(hash: string): string {
    return this.#keys.get(hash) ?? `\0${hash}`;
  }
}

/** A queue as it was listed, parsed once for all who stand in it. */
export class QueueList {
  readonly claims: readonly ClaimName[];
  readonly #places: readonly Place[];
  /** Where each entry stands, and where the first of each claim does. */
  readonly #positions = new Map<string, number>();
  readonly #firsts = new Map<string, number>();

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
  among({ lock, ref, revision }: Entry): Standing {
    const position = this.#positions.get(ref);
    if (position === undefined) throw takenOut({ lock, ref });
    return new SharedStanding(lock, ref, revision, this.#places, position);
  }
}

/** A thousand who stand in one list would have half a million places ahead of them: each cuts out its own when it is asked. */
class SharedStanding implements Standing {
  readonly lock: string;
  readonly ref: string;
  readonly revision: number;
  readonly #places: readonly Place[];
  readonly #position: number;

  constructor(lock: string, ref: string, revision: number, places: readonly Place[], position: number) {
    this.lock = lock;
    this.ref = ref;
    this.revision = revision;
    this.#places = places;
    this.#position = position;
  }

  get ahead(): readonly Place[] {
    return this.#places.slice(0, this.#position);
  }
}

/** The error of a claim that is not in its queue although its session lives. */
export function takenOut({ lock, ref }: Pick<Entry, "lock" | "ref">): ClaimLostError {
  return new ClaimLostError(`the claim was taken out of the queue of ${lock}`, { hint: `someone removed the entry ${ref}` });
}
