// What scripts reply, as the engine's places, entries and records. lua.ts says how they are kept.
import type { Appended, Archived, Committed, Kept, Refusal, StoredDocument, StoredEntry, StoredPlace } from "../../queue/store.js";
import { NO_SESSION } from "./lua.js";
import type { Reply } from "./connection.js";

/** What stands in a place after its flag and its session. */
type PlaceRest = readonly [
  claim: string,
  key: string | null,
  slots: string | null,
  revision: string,
  token: string | null,
  since: string,
];

const SESSION_ENDS = 1 + NO_SESSION.length;

/** @param flat refs, each with whether its session lives and its place */
export function placesIn(flat: unknown): readonly StoredPlace[] {
  return groupsOf(flat as readonly string[], 3).map(([ref, lives, place]) => partsOf(ref, lives, place).place);
}

/** @param flat the same with a record each */
export function entriesIn(lock: string, flat: unknown): readonly StoredEntry[] {
  return groupsOf(flat as readonly string[], 4).map(([ref, lives, text, record]) => {
    const { place, token, since } = partsOf(ref, lives, text);
    return { ...place, lock, token, since, record: record as string };
  });
}

/** @param pairs locks, each with one entry */
export function claimEntriesIn(pairs: unknown): readonly StoredEntry[] {
  const entries = (pairs as readonly (readonly [string, unknown])[]).flatMap(([lock, flat]) => entriesIn(lock, flat));
  return entries.sort((one, other) => (one.lock < other.lock ? -1 : 1));
}

export function committedIn([outcome, ...details]: Reply): Committed {
  if (outcome === "refused") return { isDone: false, step: Number(details[0]), why: details[1] as Refusal };
  const [revision, at, appended, kept] = details as [string, string, [string, unknown][], [string, string, string][]];
  return {
    isDone: true,
    revision: Number(revision),
    at: Number(at),
    appended: appended.map(([ref, ahead]): Appended => ({ ref, ahead: placesIn(ahead) })),
    kept: kept.map(([lock, sequence, isOver]): Kept => ({ lock, sequence: Number(sequence), isOver: isOver === "1" })),
  };
}

/** @param flat sequences, each with its record */
export function archivedIn(flat: unknown): readonly Archived[] {
  return groupsOf(flat as readonly string[], 2).map(([sequence, text]) => {
    const [lock, endedAt, record] = JSON.parse(text as string) as [string, string, string];
    return { lock, sequence: Number(sequence), endedAt: Number(endedAt), record };
  });
}

/** @param flat names, each with its revision and value */
export function documentsIn(flat: unknown): readonly StoredDocument[] {
  const documents = groupsOf(flat as readonly string[], 2).map(([name, text]) => documentIn(name as string, text as string));
  return documents.sort((one, other) => (one.name < other.name ? -1 : 1));
}

export function documentIn(name: string, text: string): StoredDocument {
  const space = text.indexOf(" ");
  return { name, value: text.slice(space + 1), revision: Number(text.slice(0, space)) };
}

interface PlaceParts {
  readonly place: StoredPlace;
  readonly token: number | null;
  readonly since: number;
}

function partsOf(ref = "", lives = "", text = ""): PlaceParts {
  const session = text.slice(1, SESSION_ENDS);
  const [claim, key, slots, revision, token, since] = JSON.parse(text.slice(SESSION_ENDS)) as PlaceRest;
  const place = {
    ref,
    claim,
    key,
    slots: slots === null ? Number.POSITIVE_INFINITY : Number(slots),
    durable: text.startsWith("d"),
    session: session === NO_SESSION ? null : session,
    isSessionAlive: lives === "1",
    revision: Number(revision),
  };
  return { place, token: token === null ? null : Number(token), since: Number(since) };
}

function groupsOf(flat: readonly string[], size: number): readonly (readonly string[])[] {
  return Array.from({ length: flat.length / size }, (_, index) => flat.slice(index * size, (index + 1) * size));
}
