// A store's contents as text, and back.
import type { Archived, StoredDocument } from "../store.js";
import type { Contents, Entry, StoredSession } from "./contents.js";

interface Text {
  readonly revision: number;
  readonly locks: readonly (readonly [
    lock: string,
    queue: readonly (Omit<Entry, "slots"> & { readonly slots: number | null })[],
  ])[];
  readonly sessions: readonly (readonly [id: string, session: StoredSession])[];
  readonly archive: readonly Archived[];
  readonly archiveSequence: number;
  readonly documents: readonly (readonly [name: string, document: StoredDocument])[];
}

export function encodeContents({ revision, locks, sessions, archive, archiveSequence, documents }: Contents): string {
  const text: Text = {
    revision,
    // JSON has no Infinity.
    locks: [...locks].map(([lock, queue]) => [
      lock,
      queue.map((entry) => ({ ...entry, slots: Number.isFinite(entry.slots) ? entry.slots : null })),
    ]),
    sessions: [...sessions],
    archive,
    archiveSequence,
    documents: [...documents],
  };
  return JSON.stringify(text);
}

/** @param text that {@link encodeContents} has made. @throws SyntaxError, TypeError for any other */
export function decodeContents(text: string): Contents {
  const { revision, locks, sessions, archive, archiveSequence, documents } = JSON.parse(text) as Text;
  return {
    revision,
    locks: new Map(
      locks.map(([lock, queue]) => [lock, queue.map((entry) => ({ ...entry, slots: entry.slots ?? Number.POSITIVE_INFINITY }))]),
    ),
    sessions: new Map(sessions),
    archive,
    archiveSequence,
    documents: new Map(documents),
  };
}
