// How much of the history a store keeps.
import type { CoordinatorOptions } from "./coordinator.js";

/** How many records of all locks together a store keeps by default: some megabytes. */
export const HISTORY_TOTAL = 10_000;

/** The bounds: the newest records of each lock, among the newest of all, and none older than the given age. */
export interface HistoryBounds {
  readonly keep: number;
  readonly forMs: number;
  readonly total: number;
}

export function historyBoundsOf({ historyKeep, historyForMs, historyTotal }: CoordinatorOptions): HistoryBounds {
  return { keep: historyKeep, forMs: historyForMs ?? Number.POSITIVE_INFINITY, total: historyTotal ?? HISTORY_TOTAL };
}

/** The records within the bounds, whatever their age, from records that are newest first. */
export function withinBounds<T extends { readonly lock: string }>(records: readonly T[], { keep, total }: HistoryBounds): T[] {
  const counts = new Map<string, number>();
  return records.slice(0, total).filter(({ lock }) => {
    const count = (counts.get(lock) ?? 0) + 1;
    counts.set(lock, count);
    return count <= keep;
  });
}
