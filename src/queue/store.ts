// The lower seam: what the queue engine asks of a store, as data and about a dozen methods. A store keeps entries, sessions, an
// archive and documents, and commits steps atomically. It knows no rule, no policy, and repeats nothing after a lost reply: all
// that is the engine's.
import type { StoreTime, Traits } from "../locks/coordinator.js";
import type { Examined } from "../locks/store-report.js";

/** The version of this seam. A store of another package says which one it was made for; what only adds to the seam keeps the number. */
export const SEAM = 1;

/** What a store can and cannot do, and how its sessions live. */
export interface StoreTraits extends Traits {
  /**
   * `renewed`: the store ends a session that has not been renewed for its timeout. `process`: a session lives as long as its process
   * does, which the store can see for itself, and no reply is ever lost on the way.
   */
  readonly sessions: "renewed" | "process";
}

/** A session as steps name it. The store refuses steps of an epoch that is over: see {@link QueueStore.renew}. */
export interface SessionRef {
  readonly id: string;
  readonly epoch: number;
}

/** An entry of a queue as far as the rule needs it. */
export interface StoredPlace {
  /** The store's own name of the entry in its lock's queue; never used twice. */
  readonly ref: string;
  /** The id of the claim that the entry belongs to. */
  readonly claim: string;
  readonly key: string | null;
  /** Infinity without a limit. */
  readonly slots: number;
  /** Outlives its session. */
  readonly durable: boolean;
  /** The session of the process behind the entry; `null` for one that depends on none. */
  readonly session: string | null;
  /** Whether that session has not ended. What the store has once called ended never lives again. */
  readonly isSessionAlive: boolean;
  /** The revision of the commit that wrote the entry last. */
  readonly revision: number;
}

/** All that a store keeps of an entry. */
export interface StoredEntry extends StoredPlace {
  readonly lock: string;
  /** The revision of the commit that has given the entry its present holder; `null` while it waits. */
  readonly token: number | null;
  /** When it was appended or last stamped: milliseconds since 1970 by the store's clock. */
  readonly since: number;
  readonly record: string;
}

/** What is said of an entry to write to it. */
interface Target {
  readonly lock: string;
  readonly ref: string;
}

/** One step of a commit. Steps are data, so that a commit is one round trip on every store. */
export type Step =
  /** Appends an ephemeral entry. Refused with `exists` where the queue has an entry of this claim, with `no-session` where the session has ended. */
  | {
      readonly do: "append";
      readonly lock: string;
      readonly claim: string;
      readonly session: SessionRef;
      readonly key: string | null;
      readonly slots: number;
      readonly record: string;
    }
  /**
   * Writes an entry in place: a durable one that is as it was read, or one that it settles, which must be ephemeral still, whatever others
   * have written into it. Refused with `gone` or `changed`.
   */
  | (Target & {
      readonly do: "put";
      readonly claim: string;
      readonly revision: number;
      readonly record: string;
      /** Makes it durable, and stamps it with the store's time. */
      readonly settles: boolean;
      /** Gives it a new fencing token: the revision of this commit. */
      readonly isNewHolder: boolean;
      /** Its session from now on; undefined: as it was. */
      readonly session?: string | null;
    })
  /** Tells by which session an entry's process lives, unless the entry has another holder by now. That is no change of the entry. */
  | (Target & { readonly do: "own"; readonly token: number; readonly session: string })
  /** Removes a durable entry that is as it was read. Refused with `gone` or `changed`. */
  | (Target & { readonly do: "remove"; readonly claim: string; readonly revision: number })
  /** Removes an ephemeral entry, where it is there. Never refused. */
  | (Target & { readonly do: "withdraw" })
  /** Adds a record to the archive. Refused with `no-room` where the store takes none and everything else could be done. */
  | {
      readonly do: "archive";
      readonly lock: string;
      readonly record: string;
      /** `null`: now. */
      readonly endedAt: number | null;
      /** So many records of its lock are no reason to trim yet. */
      readonly room: number;
    }
  /** Refused with `no-session` unless the session lives, in this epoch. */
  | { readonly do: "check"; readonly session: SessionRef }
  /** Ends a session with its ephemeral entries. `isEnded`: refused with `changed` unless it has ended by itself. */
  | { readonly do: "end"; readonly session: string; readonly isEnded: boolean }
  /**
   * Writes a document, or removes it with `null`. Refused with `changed` unless it has this revision; 0: it is not there. Refused with
   * `no-room` where the store does not take it and everything else could be done.
   */
  | { readonly do: "document"; readonly name: string; readonly value: string | null; readonly revision: number }
  /** Refused with `changed` unless the document has this revision; 0: it is not there. */
  | { readonly do: "check-document"; readonly name: string; readonly revision: number };

export type Refusal = "gone" | "changed" | "exists" | "no-session" | "no-room";

/** An entry that was appended, and those ahead of it. */
export interface Appended {
  readonly ref: string;
  readonly ahead: readonly StoredPlace[];
}

/** A record that was added to the archive. */
export interface Kept {
  readonly lock: string;
  readonly sequence: number;
  /** Whether the archive has more records of its lock than there is room for. */
  readonly isOver: boolean;
}

/** What became of a commit: all of its steps, or none. */
export type Committed =
  | {
      readonly isDone: true;
      /** Greater than that of every earlier commit of the root. */
      readonly revision: number;
      /** The store's time in milliseconds since 1970: what it has stamped entries with. */
      readonly at: number;
      /** One for each `append`, in their order. */
      readonly appended: readonly Appended[];
      /** One for each `archive`, in their order. */
      readonly kept: readonly Kept[];
    }
  /** @property step the first one that could not be done */
  | { readonly isDone: false; readonly step: number; readonly why: Refusal };

/** A queue at one moment. */
export interface Line {
  readonly places: readonly StoredPlace[];
  /** Not less than that of any commit that `places` shows the effect of. */
  readonly revision: number;
}

/** A record of the archive. */
export interface Archived {
  readonly lock: string;
  /** Grows with every record. */
  readonly sequence: number;
  /** When its claim ended, in milliseconds since 1970 by the store's clock. */
  readonly endedAt: number;
  readonly record: string;
}

/** Which records of the archive are asked for. */
export interface ArchiveQuery {
  /** `null`: of all locks. */
  readonly lock: string | null;
  readonly limit: number;
  /** The sequence number behind which to begin; `null`: at the newest. */
  readonly before: number | null;
  /** Only those among so many of the newest of all locks. */
  readonly among: number;
}

/** A small versioned value beside the queues. */
export interface StoredDocument {
  readonly name: string;
  readonly value: string;
  readonly revision: number;
}

/** What has changed: the queue or archive of a lock, a document; `null`: it may be anything, and something may have been missed. */
export type StoreChange = LockChange | { readonly document: string } | null;

export interface LockChange {
  readonly lock: string;
  /**
   * Whether an entry that was there before is not as it was, or not there any more; without it, any may be. A store that says so saves
   * those who wait a read of their queue whenever somebody far from them comes or goes.
   */
  readonly isAbout?: (ref: string) => boolean;
}

/** A watch over a store, until it is closed. It comes back by itself after a lost connection, and then tells `null`. */
export interface StoreFeed {
  /** Resolves with the store's time once everything that was committed before the call has been told. */
  caughtUp(signal?: AbortSignal): Promise<StoreTime>;
  close(): void;
}

/**
 * The connection went, or the store is not reached, before a reply came. Stores throw it and forget it; the engine asks again and
 * finds out what became of the request.
 */
export class ReplyLostError extends Error {
  override readonly name = "ReplyLostError";
}

/**
 * A store under the queue engine. Its methods reject with {@link ReplyLostError} when no reply comes, and with Holdline's own
 * errors for what no repetition mends. What a session reads has whatever it has committed before. A signal is heeded where the
 * store can; the engine does not rely on it.
 */
export interface QueueStore {
  /** What fencing tokens come from, without secrets: see `Coordinator.store`. */
  readonly name: string;
  readonly isShared: boolean;
  readonly traits: StoreTraits;
  commit(steps: readonly Step[], signal?: AbortSignal): Promise<Committed>;
  /** A lock's queue in order, or of it the entries `refs` alone. */
  line(lock: string, refs?: readonly string[], signal?: AbortSignal): Promise<Line>;
  /** The same with all that is known. @param first so many from the front; all by default */
  read(lock: string, first?: number, signal?: AbortSignal): Promise<readonly StoredEntry[]>;
  /** All entries of a claim, sorted by lock. */
  readClaim(claim: string, signal?: AbortSignal): Promise<readonly StoredEntry[]>;
  /** The locks that have entries, sorted. */
  locks(signal?: AbortSignal): Promise<readonly string[]>;
  /** Sessions that have ended by themselves and have not been put away yet by an `end`. */
  endedSessions(signal?: AbortSignal): Promise<readonly string[]>;
  /** Newest first. */
  archived(query: ArchiveQuery, signal?: AbortSignal): Promise<readonly Archived[]>;
  /** Forgets all but the newest `keep` records of a lock, or of all locks (`null`), and what ended before `oldest`. */
  trim(lock: string | null, keep: number, oldest: number, signal?: AbortSignal): Promise<void>;
  document(name: string, signal?: AbortSignal): Promise<StoredDocument | null>;
  /** Those whose names begin with `prefix`, sorted by name. */
  documents(prefix: string, signal?: AbortSignal): Promise<readonly StoredDocument[]>;
  /** Opens a session, in epoch 0. One that its owner never hears of ends by its timeout. @returns its id */
  openSession(timeoutMs: number, signal?: AbortSignal): Promise<string>;
  /**
   * Renews a session for its whole timeout and raises its epoch, never lowers it: whatever was sent in an earlier epoch and has not
   * arrived has no effect any more.
   * @returns whether the session lives
   */
  renew(session: SessionRef, signal?: AbortSignal): Promise<boolean>;
  /** Tells of every change of a lock, or of all (`null`), that is committed after this has resolved. */
  watch(lock: string | null, onChange: (change: StoreChange) => void, signal?: AbortSignal): Promise<StoreFeed>;
  /** Brings the connection up to date; see `Coordinator.sync`. */
  sync(signal?: AbortSignal): Promise<StoreTime>;
  /** Drops the connection, which is silent, and makes another with the next request. */
  reconnect(why: string): void;
  /** Never rejects. */
  close(): Promise<void>;
  /** Says what the store is, and tries without changing anything whether these credentials may do all that runs need. */
  examine?(signal?: AbortSignal): Promise<Examined>;
}
