// All that a store holds, as plain data in memory: it can be copied, for a backup, say, or for a server that hears of nothing more.
import type { Archived, StoredDocument, StoredEntry, StoredPlace } from "../store.js";

/** An entry of a queue as a store keeps it. */
export interface Entry {
  readonly lock: string;
  readonly ref: string;
  readonly claim: string;
  readonly key: string | null;
  readonly slots: number;
  durable: boolean;
  session: string | null;
  revision: number;
  token: number | null;
  since: number;
  record: string;
}

export interface StoredSession {
  readonly timeoutMs: number;
  epoch: number;
  /** It has ended by itself, and what it has left has not been put away yet. */
  hasEnded: boolean;
}

export interface Contents {
  revision: number;
  /** The queues that have entries, in order. */
  readonly locks: Map<string, readonly Entry[]>;
  readonly sessions: Map<string, StoredSession>;
  /** Newest first. */
  archive: readonly Archived[];
  /** That of the latest record, which may have been forgotten. */
  archiveSequence: number;
  readonly documents: Map<string, StoredDocument>;
}

export function emptyContents(): Contents {
  return { revision: 0, locks: new Map(), sessions: new Map(), archive: [], archiveSequence: 0, documents: new Map() };
}

export function copyOf({ locks, sessions, archive, documents, ...numbers }: Contents): Contents {
  return {
    ...numbers,
    locks: new Map([...locks].map(([lock, queue]) => [lock, queue.map((entry) => ({ ...entry }))])),
    sessions: new Map([...sessions].map(([id, session]) => [id, { ...session }])),
    archive: [...archive],
    documents: new Map(documents),
  };
}

/** Whether a session is there that has not ended. */
export function lives(contents: Contents, session: string | null): boolean {
  return session !== null && contents.sessions.get(session)?.hasEnded === false;
}

/** The entries of one queue, in order. */
export function queueOf(contents: Contents, lock: string): readonly Entry[] {
  return contents.locks.get(lock) ?? [];
}

/** Every entry of every queue. */
export function entriesOf(contents: Contents): readonly Entry[] {
  return [...contents.locks.values()].flat();
}

/** An entry as a client reads it. */
export function entryOf(contents: Contents, entry: Entry): StoredEntry {
  const { lock, token, since, record } = entry;
  return { ...placeOf(contents, entry), lock, token, since, record };
}

/** As much of an entry as the rule needs. */
export function placeOf(contents: Contents, entry: Entry): StoredPlace {
  const { ref, claim, key, slots, durable, session, revision } = entry;
  return { ref, claim, key, slots, durable, session, isSessionAlive: lives(contents, session), revision };
}
