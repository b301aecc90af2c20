// How much of the history a store keeps.
import type { CoordinatorOptions } from "./coordinator.js";

/** How many records of all locks together are kept where nothing is said: some megabytes in a store. */
export const HISTORY_TOTAL = 10_000;

/** What counts: the newest records of each lock, among the newest of all, and none that is older than that. */
export interface HistoryBounds {
  readonly keep: number;
  readonly forMs: number;
  readonly total: number;
}

export function historyBoundsOf({ historyKeep, historyForMs, historyTotal }: CoordinatorOptions): HistoryBounds {
  return { keep: historyKeep, forMs: historyForMs ?? Number.POSITIVE_INFINITY, total: historyTotal ?? HISTORY_TOTAL };
}

/** Those that count, of records that are newest first, whatever their age. */
export function withinBounds<T extends { readonly lock: string }>(records: readonly T[], { keep, total }: HistoryBounds): T[] {
  const counts = new Map<string, number>();
  return records.slice(0, total).filter(({ lock }) => {
    const count = (counts.get(lock) ?? 0) + 1;
    counts.set(lock, count);
    return count <= keep;
  });
}
