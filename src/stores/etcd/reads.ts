// Reading queues and documents. What needs two requests reads both at one revision, so that they show one moment.
import type { Line, StoredDocument, StoredEntry } from "../../queue/store.js";
import type { Layout } from "./layout.js";
import { type FoundPlace, parseRef, placesIn, refOf, storedEntryOf, storedPlaceOf } from "./places.js";
import { MOST_OPERATIONS } from "./traits.js";
import { CompactedError } from "./wire/errors.js";
import type { KeyRange, KeyValue, RangeResponse } from "./wire/messages.js";
import type { Wire } from "./wire/wire.js";

export class Reads {
  readonly #wire: Wire;
  readonly #layout: Layout;

  constructor(wire: Wire, layout: Layout) {
    this.#wire = wire;
    this.#layout = layout;
  }

  async line(lock: string, refs: readonly string[] | undefined): Promise<Line> {
    if (refs === undefined || refs.length > MOST_OPERATIONS) {
      const { pairs, header } = await this.#wire.range(this.#layout.queue(lock));
      return lineOf(placesIn(this.#layout, pairs), refs, header.revision);
    }
    const success = refs.map((ref) => ({ range: this.#layout.entry(lock, parseRef(ref).claim) }));
    const { responses, header } = await this.#wire.transact({ compares: [], success });
    const pairs = responses.flatMap((response) => response.pairs);
    return lineOf(placesIn(this.#layout, pairs), refs, header.revision);
  }

  read(lock: string, first = Number.POSITIVE_INFINITY): Promise<readonly StoredEntry[]> {
    return this.#again(async () => {
      const { pairs, header } = await this.#wire.range(this.#layout.queue(lock));
      const places = placesIn(this.#layout, pairs).slice(0, first);
      const keys = places.map(({ claim }) => ({ key: this.#layout.record(lock, claim) }));
      const records = await this.#rangesAt(header.revision, keys);
      return places.map((place, index) => storedEntryOf(place, textIn(records[index])));
    });
  }

  /** All entries of a claim, by lock. */
  readClaim(claim: string): Promise<readonly StoredEntry[]> {
    return this.#again(async () => {
      const { pairs, header } = await this.#wire.range(this.#layout.claim(claim));
      const records = new Map(pairs.map((pair) => [this.#layout.partsOf(pair.key)?.[2] ?? "", pair.value]));
      const locks = [...records.keys()].sort();
      const found = await this.#rangesAt(
        header.revision,
        locks.map((lock) => this.#layout.entry(lock, claim)),
      );
      return found
        .flatMap(({ pairs: entry }) => placesIn(this.#layout, entry))
        .map((place: FoundPlace) => {
          return storedEntryOf(place, records.get(place.lock) ?? "");
        });
    });
  }

  async locks(): Promise<readonly string[]> {
    const { pairs } = await this.#wire.range({ ...this.#layout.locks, only: "keys" });
    return [...new Set(pairs.flatMap(({ key }) => this.#layout.partsOf(key)?.[1] ?? []))].sort();
  }

  async document(name: string): Promise<StoredDocument | null> {
    const { pairs } = await this.#wire.range({ key: this.#layout.document(name) });
    return this.#documentsIn(pairs)[0] ?? null;
  }

  async documents(prefix: string): Promise<readonly StoredDocument[]> {
    const { pairs } = await this.#wire.range(this.#layout.documents(prefix));
    return this.#documentsIn(pairs);
  }

  #documentsIn(pairs: readonly KeyValue[]): readonly StoredDocument[] {
    const documents = pairs.flatMap(({ key, value, modified }): StoredDocument[] => {
      const name = this.#layout.partsOf(key)?.[1];
      return name === undefined ? [] : [{ name, value, revision: modified }];
    });
    return documents.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** Each of the ranges as it was at a revision, in their order. */
  async #rangesAt(revision: number, ranges: readonly KeyRange[]): Promise<readonly RangeResponse[]> {
    const requests: Promise<{ readonly responses: readonly RangeResponse[] }>[] = [];
    for (let at = 0; at < ranges.length; at += MOST_OPERATIONS) {
      const success = ranges.slice(at, at + MOST_OPERATIONS).map((range) => ({ range: { ...range, revision } }));
      requests.push(this.#wire.transact({ compares: [], success }));
    }
    return (await Promise.all(requests)).flatMap(({ responses }) => responses);
  }

  /** Somebody may compact between two requests: then both are made anew. */
  async #again<T>(read: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof CompactedError)) throw error;
      }
    }
  }
}

function textIn(response: RangeResponse | undefined): string {
  return response?.pairs[0]?.value ?? "";
}

function lineOf(places: readonly FoundPlace[], refs: readonly string[] | undefined, revision: number): Line {
  const asked = refs === undefined ? places : places.filter((place) => refs.includes(refOf(place)));
  return { places: asked.map(storedPlaceOf), revision };
}
