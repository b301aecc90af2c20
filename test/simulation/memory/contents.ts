// All that the in-memory store holds, as plain data: it can be copied, for a server that hears of nothing more.
import type { HistoryRecord } from "../../../src/locks/coordinator.js";
import type { StoredEntry } from "./entry.js";

export interface Contents {
  transactions: number;
  readonly locks: Map<string, StoredEntry[]>;
  /** Each with what is called when it ends by itself. */
  readonly sessions: Map<string, () => void>;
  /** Claim to session. */
  readonly liveness: Map<string, string>;
  /** Newest first. */
  readonly history: (HistoryRecord | { readonly lock: string; readonly garbage: true })[];
}

export function emptyContents(): Contents {
  return { transactions: 0, locks: new Map(), sessions: new Map(), liveness: new Map(), history: [] };
}

export function copyOf({ transactions, locks, sessions, liveness, history }: Contents): Contents {
  return {
    transactions,
    locks: new Map([...locks].map(([lock, queue]) => [lock, queue.map((entry) => ({ ...entry }))])),
    sessions: new Map(sessions),
    liveness: new Map(liveness),
    history: [...history],
  };
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
