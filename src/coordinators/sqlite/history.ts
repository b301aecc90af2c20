// The history: one record for each end of a durable claim, and for each failure that keeps one. Its bounds hold for readers at
// once, and are brought about now and then behind a release.
import { decodeFailure, decodeRecord, encodeRecord, isObject, type ClaimRecord } from "../../locks/claim.js";
import type { EndEvent, Ending, EntryRef, HistoryRecord } from "../../locks/coordinator.js";
import type { HistoryBounds } from "../../locks/history-bounds.js";
import type { WholeRow } from "./claims.js";
import { readClock, tickClock, type TimeSource } from "./clock.js";
import type { Sql } from "./database.js";
import { asHex, textOf } from "./database.js";

// One release in so many looks at all of the history.
const LOOK_EVERY = 32;

// So many records are read at once, from the oldest on, until one is young enough.
const AGED = 16;

/** That it is time to trim the history of a lock, or all of it. */
export interface TrimDue {
  readonly lock: string;
  readonly what: "lock" | "all";
}

export class HistoryTable {
  readonly #bounds: HistoryBounds;
  readonly #time: TimeSource;

  constructor(bounds: HistoryBounds, time: TimeSource) {
    this.#bounds = bounds;
    this.#time = time;
  }

  /**
   * Records the end of a claim's entries, or that they are kept.
   * @param kept what was written to them where they stay; `null` where they have ended
   * @returns what is to be trimmed
   */
  record(
    sql: Sql,
    rows: readonly WholeRow[],
    entries: readonly EntryRef[],
    ending: Ending,
    kept: ClaimRecord | null,
  ): readonly TrimDue[] {
    const at = tickClock(sql, this.#time);
    const { event, by, reason, failure, endedAt = at } = ending;
    return rows.flatMap((row, index): readonly TrimDue[] => {
      const { lock } = entries[index] as EntryRef;
      const record = kept === null ? row.record : encodeRecord(kept);
      const said = { claim: row.claim, event, by, reason, failure, isKept: kept !== null, claimedAt: row.sinceMs, endedAt, record };
      const sequence = sql.run("INSERT INTO history (lock, record) VALUES (?, ?)", lock, JSON.stringify(said));
      if (sequence % LOOK_EVERY === 0) return [{ lock, what: "all" }];
      // Only when it is over by a tenth, so that one release in so many makes work, and then for all of them at once.
      const { keep } = this.#bounds;
      return newestBeyond(sql, lock, keep + Math.floor(keep / 10)) === null ? [] : [{ lock, what: "lock" }];
    });
  }

  /** Forgets what is beyond the bounds: of a lock all records but the newest; and of all locks the surplus, and what is too old. */
  trim(sql: Sql, lock: string, what: TrimDue["what"]): void {
    const forgotten = newestBeyond(sql, lock, this.#bounds.keep);
    if (forgotten !== null) sql.run("DELETE FROM history WHERE lock = ? AND sequence <= ?", lock, forgotten);
    if (what === "lock") return;
    sql.run("DELETE FROM history WHERE sequence <= ?", newestSurplus(sql, this.#bounds.total));
    const oldest = this.#oldest(sql);
    while (oldest > Number.NEGATIVE_INFINITY) {
      // They stand about in the order in which they ended: a lease is recorded some time after its end.
      const eldest = sql.all(`SELECT sequence, ${asHex("record")} FROM history ORDER BY sequence LIMIT ?`, AGED);
      const young = eldest.findIndex((row) => (decodeEnding("", textOf(row["record"]))?.endedAt ?? oldest) > oldest);
      const last = (young < 0 ? eldest : eldest.slice(0, young)).at(-1);
      if (last !== undefined) sql.run("DELETE FROM history WHERE sequence <= ?", last["sequence"] as number);
      if (young >= 0 || eldest.length < AGED) return;
    }
  }

  /** Newest first, of one lock or of all (`null`). What cannot be read is passed over, and what is beyond the bounds. */
  read(sql: Sql, lock: string | null, limit: number): readonly HistoryRecord[] {
    const records: HistoryRecord[] = [];
    const counts = new Map<string, number>();
    const [surplus, oldest] = [newestSurplus(sql, this.#bounds.total), this.#oldest(sql)];
    let before = Number.MAX_SAFE_INTEGER;
    while (records.length < limit) {
      const page = sql.all(
        `SELECT sequence, lock, ${asHex("record")} FROM history WHERE sequence < ? AND sequence > ?2 AND (?3 IS NULL OR lock = ?3) ORDER BY sequence DESC LIMIT ?4`,
        before,
        surplus,
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
        const record = count > this.#bounds.keep ? null : decodeEnding(name, textOf(row["record"]));
        if (record !== null && record.endedAt > oldest) records.push(record);
      }
    }
    return records.sort((one, other) => other.endedAt - one.endedAt);
  }

  /** When the oldest record that still counts has ended at the earliest. */
  #oldest(sql: Sql): number {
    const { forMs } = this.#bounds;
    return Number.isFinite(forMs) ? readClock(sql, this.#time) - forMs : Number.NEGATIVE_INFINITY;
  }
}

/** The sequence number of the newest record of a lock that is one too many; `null` when there are no more than `keep`. */
function newestBeyond(sql: Sql, lock: string, keep: number): number | null {
  const row = sql.one("SELECT sequence FROM history WHERE lock = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?", lock, keep);
  return (row?.["sequence"] as number | undefined) ?? null;
}

/** The same of all locks; -1 where there is none. */
function newestSurplus(sql: Sql, total: number): number {
  const row = sql.one("SELECT sequence FROM history ORDER BY sequence DESC LIMIT 1 OFFSET ?", total);
  return (row?.["sequence"] as number | undefined) ?? -1;
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
