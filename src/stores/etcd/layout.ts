// Which keys there are under a prefix, and what they mean. An entry of a queue is two keys, which are always written together: its
// place, small, for everybody who stands behind it; and its record, by its claim. A durable entry has a third as long as the session
// of its process lives.
//
//   <prefix>/root                                    what this is, in which layout, and its name
//   <prefix>/sessions/<lease>                        the session's epoch; goes with the lease
//   <prefix>/claims/<claim>/<lock>                   the entry's record
//   <prefix>/locks/<lock>/<claim>/place              see places.ts; the order of a queue is that in which these were created
//   <prefix>/locks/<lock>/<claim>/alive              the session by which others see that the holder lives; goes with its lease
//   <prefix>/history/<lock>/<ended at>.<uuid>.<n>    a record of the archive, the n-th of its commit
//   <prefix>/documents/<name>
//   <prefix>/mark                                    written to hear by a watch that it has caught up
import { after, type KeyRange } from "./wire/messages.js";

/** What all may know by watching lies side by side, with nothing else between: documents, history, locks, mark. */
const WATCHED = { from: "d", to: "n" };

export class Layout {
  readonly root: string;
  readonly mark: string;
  /** All of it. */
  readonly whole: KeyRange;
  readonly watched: KeyRange;
  readonly locks: KeyRange;
  readonly history: KeyRange;
  readonly #base: string;

  /** @param prefix without a slash at its end */
  constructor(readonly prefix: string) {
    this.#base = `${prefix}/`;
    this.root = `${this.#base}root`;
    this.mark = `${this.#base}mark`;
    this.whole = below(this.#base);
    this.watched = { key: this.#base + WATCHED.from, end: this.#base + WATCHED.to };
    this.locks = below(`${this.#base}locks/`);
    this.history = below(`${this.#base}history/`);
  }

  session(id: string): string {
    return `${this.#base}sessions/${id}`;
  }

  queue(lock: string): KeyRange {
    return below(`${this.locks.key}${encoded(lock)}/`);
  }

  /** An entry's place, and whether its holder lives. */
  entry(lock: string, claim: string): KeyRange {
    return below(`${this.queue(lock).key}${encoded(claim)}/`);
  }

  place(lock: string, claim: string): string {
    return `${this.entry(lock, claim).key}place`;
  }

  alive(lock: string, claim: string): string {
    return `${this.entry(lock, claim).key}alive`;
  }

  claim(claim: string): KeyRange {
    return below(`${this.#base}claims/${encoded(claim)}/`);
  }

  record(lock: string, claim: string): string {
    return `${this.claim(claim).key}${encoded(lock)}`;
  }

  historyOf(lock: string): KeyRange {
    return below(`${this.history.key}${encoded(lock)}/`);
  }

  document(name: string): string {
    return `${this.documents("").key}${encoded(name)}`;
  }

  documents(namePrefix: string): KeyRange {
    const folder = `${this.#base}documents/`;
    return namePrefix === "" ? below(folder) : below(folder + encoded(namePrefix));
  }

  /** The parts of a key below the prefix, decoded: `["locks", lock, claim, "place"]`; `null` for a key that is none of these. */
  partsOf(key: string): readonly string[] | null {
    try {
      return key.startsWith(this.#base) ? key.slice(this.#base.length).split("/").map(decodeURIComponent) : null;
    } catch {
      return null; // Somebody else's key.
    }
  }
}

function below(prefix: string): KeyRange {
  return { key: prefix, end: after(prefix) };
}

/** No slash is left in it, and what begins with a name begins with the name's code. */
function encoded(name: string): string {
  return encodeURIComponent(name);
}
