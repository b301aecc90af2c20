// What clients read of a store's contents. Pure.
import type { Archived, ArchiveQuery, Line, StoredDocument, StoredEntry } from "../store.js";
import { type Contents, entriesOf, entryOf, placeOf, queueOf } from "./contents.js";

export function lineOf(contents: Contents, lock: string, refs?: readonly string[]): Line {
  const places = queueOf(contents, lock).map((entry) => placeOf(contents, entry));
  const asked = refs === undefined ? places : places.filter(({ ref }) => refs.includes(ref));
  return { places: asked, revision: contents.revision };
}

export function entriesIn(contents: Contents, lock: string, first = Number.POSITIVE_INFINITY): readonly StoredEntry[] {
  return queueOf(contents, lock)
    .slice(0, first)
    .map((entry) => entryOf(contents, entry));
}

/** All entries of a claim, sorted by lock. */
export function entriesOfClaim(contents: Contents, claim: string): readonly StoredEntry[] {
  const own = entriesOf(contents).filter((entry) => entry.claim === claim);
  return own.map((entry) => entryOf(contents, entry)).sort((one, other) => (one.lock < other.lock ? -1 : 1));
}

export function lockNames(contents: Contents): readonly string[] {
  return [...contents.locks.keys()].sort();
}

/** Sessions that have ended by themselves and have not been put away yet. */
export function endedSessions(contents: Contents): readonly string[] {
  return [...contents.sessions].flatMap(([id, { hasEnded }]) => (hasEnded ? [id] : []));
}

export function archivedIn(contents: Contents, { lock, limit, before, among }: ArchiveQuery): readonly Archived[] {
  const asked = contents.archive
    .slice(0, among)
    .filter((record) => (lock === null || record.lock === lock) && (before === null || record.sequence < before));
  return asked.slice(0, limit);
}

/** What is left of the archive when all but the newest `keep` of a lock, or of all (`null`), and what ended before `oldest`, is forgotten. */
export function trimmedArchive(contents: Contents, lock: string | null, keep: number, oldest: number): readonly Archived[] {
  let kept = 0;
  return contents.archive.filter((record) => {
    if (lock !== null && record.lock !== lock) return true;
    kept += 1;
    return kept <= keep && record.endedAt >= oldest;
  });
}

export function documentsIn(contents: Contents, prefix: string): readonly StoredDocument[] {
  const asked = [...contents.documents.values()].filter(({ name }) => name.startsWith(prefix));
  return asked.sort((one, other) => (one.name < other.name ? -1 : 1));
}
