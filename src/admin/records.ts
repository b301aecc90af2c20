// Reading the history out of all the stores that the configuration names, and choosing from it. A store gives its newest
// records; where they are filtered, more of them are asked for until there are enough. Leases whose time is over are ended before.
import type { EndEvent, HistoryRecord } from "../locks/coordinator.js";
import { isoTime } from "../locks/durations.js";
import { endAllExpired } from "../line/holders.js";
import { failureAsJson, leaseAsJson, ownerAsJson } from "./claims.js";
import { storesFor } from "./stores.js";
import type { Store, Stores } from "./stores.js";

const ENDS: Readonly<Record<EndEvent, true>> = { failed: true, released: true, cleared: true, expired: true, recovered: true };

/** How a durable claim can have ended. */
export const END_EVENTS = Object.keys(ENDS) as readonly EndEvent[];

/** Which records are wanted; `null` where all are. */
export interface RecordFilter {
  readonly lock: string | null;
  /** Ended no longer ago than this, in milliseconds, by the store's clock. */
  readonly sinceMs: number | null;
  /** Who locked or who ended: a principal, or a caller. */
  readonly by: string | null;
  readonly event: EndEvent | null;
  readonly claim: string | null;
  /** Whether the reader may see a lock's records; all of them by default. */
  readonly sees?: (lock: string) => boolean;
  /** At most so many of those that fit the rest. */
  readonly limit: number;
}

/** A record as it is looked at, at a moment of its store's clock. */
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

// What is found among the newest records is found with little; a search that goes further grows fast, so that few of the
// records are read more than once.
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
    // A lease is recorded some time after its end: that it ended long ago does not say so of the records before it.
    const last = records.findLast(({ event }) => event !== "expired");
    const isAll = records.length < piece || (last !== undefined && last.endedAt < oldest);
    if (isAll || wanted.length === filter.limit) return wanted.map((record) => ({ record, now }));
  }
}

function fits({ lock, owner, lease, by, event, claim }: HistoryRecord, wanted: RecordFilter): boolean {
  if (wanted.sees?.(lock) === false) return false;
  if (wanted.by !== null && ![by, owner.principal, lease?.caller].includes(wanted.by)) return false;
  return (wanted.event === null || event === wanted.event) && (wanted.claim === null || claim === wanted.claim);
}

/** A record as `history --json` gives it. */
export function recordAsJson(record: HistoryRecord) {
  const { lock, claim, event, by, reason, description } = record;
  return {
    lock,
    claim,
    owner: ownerAsJson(record.owner),
    lease: leaseAsJson(record.lease),
    event,
    by,
    reason,
    claimedAt: isoTime(record.claimedAt),
    endedAt: isoTime(record.endedAt),
    description,
    data: record.data ?? null,
    failure: failureAsJson(record.failure),
  };
}
