// An entry of a queue as the in-memory store keeps it, and who is told of what becomes of entries.
import type { Claim, ClaimRecord } from "../../../src/locks/claim.js";
import type { Ending, EntryRef, HistoryRecord, Keeping, Settled } from "../../../src/locks/coordinator.js";

/** An entry of a queue. `record` is `null` for garbage. */
export interface StoredEntry {
  readonly lock: string;
  readonly ref: string;
  readonly id: string;
  /** The session that an ephemeral entry belongs to; `null` for a durable one. */
  session: string | null;
  record: ClaimRecord | null;
  /** The transaction that wrote it last: never the same twice, so that an unchanged revision is an unchanged entry. */
  revision: number;
  since: number;
  fencingToken: number | null;
}

/** Who is told of each transaction, after it, with the name of the client that asked for it. */
export interface StoreObserver {
  joined(entries: readonly StoredEntry[], by: string): void;
  settled(entries: readonly StoredEntry[], by: string): void;
  adopted(entries: readonly StoredEntry[], before: readonly StoredEntry[], by: string): void;
  updated(entries: readonly StoredEntry[], before: readonly StoredEntry[], by: string): void;
  /** @param ending `null` for an ephemeral entry that was withdrawn or has ended with its session */
  left(entries: readonly StoredEntry[], ending: Ending | null, by: string): void;
}

/** What wakes a waiter: one of the entries `refs` has left. */
export interface Watch {
  readonly lock: string;
  readonly refs: readonly string[];
  /** The waiter's own entry in the same queue, where it has one. */
  readonly own: EntryRef | undefined;
  /** @param gone `null` when the waiter itself was out of the line by then */
  wake(gone: readonly string[] | null): void;
}

const NOBODY = { node: "unknown", principal: "unknown", action: null, process: null };

/** What is said of an entry that cannot be read: an exclusive claim of somebody else. */
export const UNREADABLE: ClaimRecord = {
  owner: NOBODY,
  key: null,
  slots: 1,
  made: null,
  lease: null,
  expiresAt: null,
  reason: null,
  data: null,
  failure: null,
};

export function settledOf(entries: readonly StoredEntry[]): Settled {
  return {
    entries: entries.map(({ lock, ref, revision }) => ({ lock, ref, revision })),
    fencingToken: Math.max(...entries.map(({ fencingToken }) => fencingToken ?? 0)),
  };
}

/** What the history is to say of an entry that has ended. */
export function endedOf({ lock, id, record, since }: StoredEntry, ending: Ending, at: number): HistoryRecord {
  const { owner, reason: description, lease, data, failure } = record ?? UNREADABLE;
  const told = { failure, ...ending, isKept: false };
  return { ...told, lock, claim: id, owner, description, lease, data, claimedAt: since, endedAt: ending.endedAt ?? at };
}

/** What it is to say of one that has failed and stays. */
export function keptOf(entry: StoredEntry, keeping: Keeping, at: number): HistoryRecord {
  return { ...endedOf(entry, keeping, at), isKept: true };
}

/** @param isLive has it a liveness entry? */
export function claimOf(entry: StoredEntry, isLive: boolean): Claim {
  const { lock, ref, id, session, revision, since, fencingToken } = entry;
  const durable = session === null;
  const record = entry.record ?? UNREADABLE;
  return { ...record, lock, ref, id, revision, since, durable, alive: !durable || record.lease !== null || isLive, fencingToken };
}
