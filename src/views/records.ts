// Reading the history from every store that the configuration names, and filtering it. A store gives its newest records;
// with a filter, more are read until enough of them match. Expired leases are ended first, so that the history has them.
import type { HistoryEvent, HistoryRecord } from "../locks/history.js";
import { endAllExpired } from "../line/holders.js";
import { storesFor } from "./stores.js";
import type { Store, Stores } from "./stores.js";

const EVENTS: Readonly<Record<HistoryEvent, true>> = {
  ...{ failed: true, released: true, cleared: true, expired: true, recovered: true },
  ...{ frozen: true, thawed: true },
};

/** What a record can be about. */
export const HISTORY_EVENTS = Object.keys(EVENTS) as readonly HistoryEvent[];

/** Which records are wanted; `null` in a member means any. */
export interface RecordFilter {
  readonly lock: string | null;
  /** Ended no longer ago than this, in milliseconds, by the store's clock. */
  readonly sinceMs: number | null;
  /** Who took the lock or who ended the claim: a principal, or a caller. */
  readonly by: string | null;
  readonly event: HistoryEvent | null;
  readonly claim: string | null;
  /** Whether the reader may see a record; all of them by default. */
  readonly sees?: (record: HistoryRecord) => boolean;
  /** How many at most. */
  readonly limit: number;
}

/** A record, and the time of its store when it was read. */
export interface SeenRecord {
  readonly record: HistoryRecord;
  readonly now: number;
}

/** The wanted records of all stores, newest first. */
export async function readRecords(from: Stores, filter: RecordFilter, signal: AbortSignal): Promise<readonly SeenRecord[]> {
  const stores = await storesFor(from, filter.lock);
  const seen = await Promise.all(stores.map((store) => readStore(store, filter, signal)));
  return seen
    .flat()
    .sort((one, other) => other.record.endedAt - one.record.endedAt)
    .slice(0, filter.limit);
}

// Most searches end among the newest records. A longer one grows fast, so that few records are read more than once.
const FIRST_PIECE = 100;
const GROWTH = 8;

async function readStore({ coordinator, isFor }: Store, filter: RecordFilter, signal: AbortSignal): Promise<SeenRecord[]> {
  await endAllExpired(coordinator, filter.lock === null ? null : [filter.lock], signal);
  const now = (await coordinator.sync(signal)).ms;
  const oldest = filter.sinceMs === null ? Number.NEGATIVE_INFINITY : now - filter.sinceMs;
  const isWanted = (record: HistoryRecord): boolean => record.endedAt >= oldest && isFor(record.lock) && fits(record, filter);
  const isPlain = filter.by === null && filter.event === null && filter.claim === null && filter.sees === undefined;
  for (let piece = isPlain ? filter.limit : Math.max(FIRST_PIECE, filter.limit); ; piece *= GROWTH) {
    const records = await coordinator.history(filter.lock, piece, signal);
    const wanted = records.filter(isWanted).slice(0, filter.limit);
    // An expired lease is recorded some time after its end: older records may still have ended later than it did.
    const last = records.findLast(({ event }) => event !== "expired");
    const isAll = records.length < piece || (last !== undefined && last.endedAt < oldest);
    if (isAll || wanted.length === filter.limit) return wanted.map((record) => ({ record, now }));
  }
}

function fits(record: HistoryRecord, wanted: RecordFilter): boolean {
  const { owner, lease, by, event, claim } = record;
  if (wanted.sees?.(record) === false) return false;
  if (wanted.by !== null && ![by, owner.principal, lease?.caller].includes(wanted.by)) return false;
  return (wanted.event === null || event === wanted.event) && (wanted.claim === null || claim === wanted.claim);
}
