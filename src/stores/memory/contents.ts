// All that the in-memory store holds, as plain data: it can be copied, for a backup, say, or for a server that hears of nothing more.
import type { Archived, StoredDocument } from "../../queue/store.js";

/** An entry of a queue as the store keeps it. */
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
  readonly documents: Map<string, StoredDocument>;
}

export function emptyContents(): Contents {
  return { revision: 0, locks: new Map(), sessions: new Map(), archive: [], documents: new Map() };
}

export function copyOf({ revision, locks, sessions, archive, documents }: Contents): Contents {
  return {
    revision,
    locks: new Map([...locks].map(([lock, queue]) => [lock, queue.map((entry) => ({ ...entry }))])),
    sessions: new Map([...sessions].map(([id, session]) => [id, { ...session }])),
    archive: [...archive],
    documents: new Map(documents),
  };
}
