// The history: one record for each durable claim that has ended, the newest kept.
import { decodeRecord, isObject } from "../../locks/claim.js";
import type { EndEvent, Ending, HistoryRecord } from "../../locks/coordinator.js";
import type { ClaimRow } from "./claims.js";
import type { Sql } from "./database.js";
import { asHex, textOf } from "./database.js";

/** Records the end of an entry, and forgets the oldest of its lock beyond `keep`. */
export function recordEnding(sql: Sql, lock: string, row: ClaimRow, ending: Ending, endedAt: number, keep: number): void {
  const { event, by, reason } = ending;
  const text = JSON.stringify({ claim: row.claim, event, by, reason, claimedAt: row.sinceMs, endedAt, record: row.record });
  sql.run("INSERT INTO history (lock, record) VALUES (?, ?)", lock, text);
  sql.run(
    "DELETE FROM history WHERE lock = ? AND sequence NOT IN (SELECT sequence FROM history WHERE lock = ? ORDER BY sequence DESC LIMIT ?)",
    lock,
    lock,
    keep,
  );
}

/** Newest first, of one lock or of all (`null`). What cannot be read is passed over. */
export function readHistory(sql: Sql, lock: string | null, limit: number): readonly HistoryRecord[] {
  const records: HistoryRecord[] = [];
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
    records.push(...page.flatMap((row) => decodeEnding(row["lock"] as string, textOf(row["record"])) ?? []));
  }
  return records;
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
  const { claim, event, by, reason, claimedAt, endedAt, record } = value;
  if (typeof claim !== "string" || !isEvent(event) || typeof by !== "string") return null;
  if ((reason !== null && typeof reason !== "string") || typeof claimedAt !== "number" || typeof endedAt !== "number") return null;
  const known = typeof record === "string" ? decodeRecord(record) : null;
  const owner = known?.owner ?? { node: "unknown", principal: "unknown", action: null, process: null };
  return { lock, claim, owner, event, by, reason, claimedAt, endedAt, data: known?.data ?? null };
}

function isEvent(value: unknown): value is EndEvent {
  return typeof value === "string" && Object.hasOwn(EVENTS, value);
}
