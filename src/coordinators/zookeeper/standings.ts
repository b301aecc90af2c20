// Where a claim of ours stands among a lock's children, in the words of the seam: names carry only hashes of keys.
import type { Entry, Standing } from "../../locks/coordinator.js";
import { ClaimLostError } from "../../locks/errors.js";
import { hashKey, orderClaims } from "./layout.js";

// A server that runs for years is asked for keys without end; of those that stand in line at one time there are far fewer.
const MOST_KEYS = 100_000;

export class Standings {
  /** The keys of drafts of ours, by their hashes, the one that was asked for last at the end. */
  readonly #keys = new Map<string, string>();

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
   * One's own place among a lock's children, as they were listed after it was taken.
   * @throws ClaimLostError when it is not among them
   */
  among(children: readonly string[] | null, { lock, ref, revision }: Entry): Standing {
    const claims = orderClaims(children ?? []);
    const own = claims.findIndex((claim) => claim.ref === ref);
    if (own < 0) throw takenOut({ lock, ref });
    const ahead = claims
      .slice(0, own)
      .map((place) => (place.key === null ? place : { ref: place.ref, key: this.#keyOf(place.key), slots: place.slots }));
    return { lock, ref, revision, ahead };
  }

  /** Those that are not known are keys that no draft of ours has. */
  #keyOf(hash: string): string {
    return this.#keys.get(hash) ?? `\0${hash}`;
  }
}

/** The error of a claim that is not in its queue although its session lives. */
export function takenOut({ lock, ref }: Pick<Entry, "lock" | "ref">): ClaimLostError {
  return new ClaimLostError(`the claim was taken out of the queue of ${lock}`, { hint: `someone removed the entry ${ref}` });
}
