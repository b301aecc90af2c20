// All that the in-memory store holds, as plain data: it can be copied, for a server that hears of nothing more.
import type { HistoryRecord } from "../../../src/locks/coordinator.js";
import type { StoredEntry } from "./entry.js";

export interface Contents {
  transactions: number;
  readonly locks: Map<string, StoredEntry[]>;
  /** Of each lock that has one, how many entries it has seen: that begins anew with each folder. */
  readonly folders: Map<string, number>;
  /** Each with what is called when it ends by itself. */
  readonly sessions: Map<string, () => void>;
  /** Claim to session. */
  readonly liveness: Map<string, string>;
  /** Newest first. */
  readonly history: (HistoryRecord | { readonly lock: string; readonly garbage: true })[];
}

export function emptyContents(): Contents {
  return { transactions: 0, locks: new Map(), folders: new Map(), sessions: new Map(), liveness: new Map(), history: [] };
}

export function copyOf({ transactions, locks, folders, sessions, liveness, history }: Contents): Contents {
  return {
    transactions,
    locks: new Map([...locks].map(([lock, queue]) => [lock, queue.map((entry) => ({ ...entry }))])),
    folders: new Map(folders),
    sessions: new Map(sessions),
    liveness: new Map(liveness),
    history: [...history],
  };
}

/** A folder that an entry was to be made in is not there, or one that was to be made is. */
export class FolderChanged extends Error {}

/** Makes these folders, all of which must be missing, for entries in the queues of `locks`, all of which must have one then. */
export function makeFolders({ folders }: Contents, made: readonly string[], locks: readonly string[]): void {
  if (made.some((lock) => folders.has(lock))) throw new FolderChanged("a folder is there already");
  if (locks.some((lock) => !folders.has(lock) && !made.includes(lock))) throw new FolderChanged("a folder is not there");
  for (const lock of made) folders.set(lock, 0);
}

/** A folder goes unless something is in it. */
export function removeFolder({ folders, locks }: Contents, lock: string): void {
  if (!locks.has(lock)) folders.delete(lock);
}

export function historyOf({ history }: Contents, lock: string | null, limit: number): readonly HistoryRecord[] {
  const own = history.filter((record) => lock === null || record.lock === lock);
  return own.filter((record): record is HistoryRecord => !("garbage" in record)).slice(0, limit);
}

export function addRecord({ history }: Contents, added: HistoryRecord, keep: number): void {
  const { lock } = added;
  history.unshift(added);
  const own = history.filter((record) => record.lock === lock && !("garbage" in record));
  for (const record of own.slice(keep)) history.splice(history.indexOf(record), 1);
}
