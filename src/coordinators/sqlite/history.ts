// The history: one record for each end of a durable claim, and for each failure that keeps one; the newest kept.
import { decodeFailure, decodeRecord, encodeRecord, isObject, type ClaimRecord } from "../../locks/claim.js";
import type { EndEvent, Ending, HistoryRecord } from "../../locks/coordinator.js";
import type { WholeRow } from "./claims.js";
import type { Sql } from "./database.js";
import { asHex, textOf } from "./database.js";

/** The end of an entry, or a failure that keeps it. */
export interface Ended {
  readonly lock: string;
  readonly row: WholeRow;
  readonly ending: Ending;
  readonly at: number;
  /** What is written to an entry that is kept; `null` for one that has ended. */
  readonly kept: ClaimRecord | null;
}

/** Records the end of an entry, or that it is kept. Is it time to trim the history of its lock? */
export function recordEnding(sql: Sql, { lock, row, ending, at, kept }: Ended, keep: number): boolean {
  const { event, by, reason, failure, endedAt = at } = ending;
  const record = kept === null ? row.record : encodeRecord(kept);
  const isKept = kept !== null;
  const text = JSON.stringify({
    claim: row.claim,
    event,
    by,
    reason,
    failure,
    isKept,
    claimedAt: row.sinceMs,
    endedAt,
    record,
  });
  sql.run("INSERT INTO history (lock, record) VALUES (?, ?)", lock, text);
  // Only when it is over by a tenth, so that one release in so many makes work, and then for all of them at once.
  return newestBeyond(sql, lock, keep + Math.floor(keep / 10)) !== null;
}

/** Forgets all records of a lock but the newest `keep`. */
export function trimHistory(sql: Sql, lock: string, keep: number): void {
  const forgotten = newestBeyond(sql, lock, keep);
  if (forgotten !== null) sql.run("DELETE FROM history WHERE lock = ? AND sequence <= ?", lock, forgotten);
}

/** The sequence number of the newest record that is one too many; `null` when there are no more than `keep`. */
function newestBeyond(sql: Sql, lock: string, keep: number): number | null {
  const row = sql.one("SELECT sequence FROM history WHERE lock = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?", lock, keep);
  return (row?.["sequence"] as number | undefined) ?? null;
}

/**
 * Newest first, of one lock or of all (`null`). What cannot be read is passed over.
 * @param keep how many count for each lock: there may be a few more until they are trimmed
 */
export function readHistory(sql: Sql, lock: string | null, limit: number, keep: number): readonly HistoryRecord[] {
  const records: HistoryRecord[] = [];
  const counts = new Map<string, number>();
  let before = Number.MAX_SAFE_INTEGER;
  while (records.length < limit) {
    const page = sql.all(
      `SELECT sequence, lock, ${asHex("record")} FROM history WHERE sequence < ? AND (?2 IS NULL OR lock = ?2) ORDER BY sequence DESC LIMIT ?3`,
      before,
      lock,
      limit - records.length,
    );
    const last = page.at(-1);
    if (last === undefined) break;
    before = last["sequence"] as number;
    for (const row of page) {
      const name = row["lock"] as string;
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      const record = count > keep ? null : decodeEnding(name, textOf(row["record"]));
      if (record !== null) records.push(record);
    }
  }
  // A lease is recorded some time after its end.
  return records.sort((one, other) => other.endedAt - one.endedAt);
}

const EVENTS: Readonly<Record<EndEvent, true>> = { released: true, cleared: true, expired: true, recovered: true, failed: true };

function decodeEnding(lock: string, text: string): HistoryRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const { claim, event, by, reason, claimedAt, endedAt, record, isKept = false } = value;
  if (typeof claim !== "string" || !isEvent(event) || (by !== null && typeof by !== "string")) return null;
  if ((reason !== null && typeof reason !== "string") || typeof claimedAt !== "number" || typeof endedAt !== "number") return null;
  const known = typeof record === "string" ? decodeRecord(record) : null;
  const owner = known?.owner ?? { node: "unknown", principal: "unknown", action: null, process: null };
  const { reason: description = null, lease = null, data = null } = known ?? {};
  const failure = decodeFailure(value["failure"]) ?? known?.failure ?? null;
  return { lock, claim, owner, event, by, reason, claimedAt, endedAt, isKept: isKept === true, failure, description, lease, data };
}

function isEvent(value: unknown): value is EndEvent {
  return typeof value === "string" && Object.hasOwn(EVENTS, value);
}
