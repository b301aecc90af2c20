// An entry of a queue in the store: what its place says, and how queues are read out of the keys under a lock.
import type { StoredEntry, StoredPlace } from "../../queue/store.js";
import type { Layout } from "./layout.js";
import type { KeyValue } from "./wire/messages.js";

/** What the value of a place says. */
export interface PlaceValue {
  readonly key: string | null;
  /** `null` without a limit. */
  readonly slots: number | null;
  readonly session: string | null;
  /** When the entry was appended or stamped. */
  readonly since: number;
  /** `true`: the revision of this very write. */
  readonly token: number | true | null;
}

/** An entry's place as it was found. */
export interface FoundPlace {
  readonly lock: string;
  readonly claim: string;
  /** The revision of the commit that appended it. */
  readonly created: number;
  readonly modified: number;
  readonly durable: boolean;
  readonly value: PlaceValue;
  /** The session by which its holder is seen to live. */
  readonly aliveBy: string | null;
}

const DURABLE = "0";

/** The places in order. A key that says nothing which can be read is none. */
export function placesIn(layout: Layout, pairs: readonly KeyValue[]): readonly FoundPlace[] {
  const alive = new Map(pairs.filter(({ key }) => key.endsWith("/alive")).map(({ key, value }) => [key, value]));
  const places = pairs.flatMap((pair): FoundPlace[] => {
    const [folder, lock, claim, what] = layout.partsOf(pair.key) ?? [];
    if (folder !== "locks" || lock === undefined || claim === undefined || what !== "place") return [];
    const value = decodePlace(pair.value);
    if (value === null) return [];
    const { created, modified, lease } = pair;
    const aliveBy = alive.get(layout.alive(lock, claim)) ?? null;
    return [{ lock, claim, created, modified, durable: lease === DURABLE, value, aliveBy }];
  });
  return places.sort((one, other) => one.created - other.created);
}

export function encodePlace(value: PlaceValue): string {
  return JSON.stringify(value);
}

function decodePlace(text: string): PlaceValue | null {
  try {
    const value = JSON.parse(text) as PlaceValue | null;
    return typeof value?.since === "number" ? value : null;
  } catch {
    return null;
  }
}

export function tokenOf({ modified, value: { token } }: FoundPlace): number | null {
  return token === true ? modified : token;
}

/** The name of an entry: its claim may come back to its queue, and has another one then. */
export function refOf({ created, claim }: { readonly created: number; readonly claim: string }): string {
  return `${created}-${claim}`;
}

export function parseRef(ref: string): { readonly created: number; readonly claim: string } {
  const dash = ref.indexOf("-");
  return { created: Number(ref.slice(0, dash)), claim: ref.slice(dash + 1) };
}

/** An entry as far as the rule needs it. One that is ephemeral is there as long as its session is. */
export function storedPlaceOf(place: FoundPlace): StoredPlace {
  const { claim, durable, modified, aliveBy } = place;
  const { key, slots, session } = place.value;
  return {
    ref: refOf(place),
    claim,
    key,
    slots: slots ?? Number.POSITIVE_INFINITY,
    durable,
    session: aliveBy ?? session,
    isSessionAlive: !durable || aliveBy !== null,
    revision: modified,
  };
}

export function storedEntryOf(place: FoundPlace, record: string): StoredEntry {
  const { lock, value } = place;
  return { ...storedPlaceOf(place), lock, token: tokenOf(place), since: value.since, record };
}
