// The archive's table: one record for each ending, newest last. The time of the ending stands in the record itself, as versions before
// the queue engine wrote and read it.
import type { Archived, ArchiveQuery, Kept, Step } from "../../queue/store.js";
import { asHex, type Row, type Sql, textOf } from "./database.js";

// So many records are read at once, from the oldest on, until one is young enough.
const AGED = 16;

/** @param record an object as JSON */
export function recordEnding(sql: Sql, { lock, record, room }: Extract<Step, { do: "archive" }>, endedAt: number): Kept {
  const sequence = sql.run("INSERT INTO history (lock, record) VALUES (?, ?)", lock, `{"endedAt":${endedAt},${record.slice(1)}`);
  const surplus = sql.one("SELECT 1 FROM history WHERE lock = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?", lock, room);
  return { lock, sequence, isOver: surplus !== null };
}

/** Newest first. */
export function readArchive(sql: Sql, { lock, limit, before, among }: ArchiveQuery): readonly Archived[] {
  const surplus = sql.one("SELECT sequence FROM history ORDER BY sequence DESC LIMIT 1 OFFSET ?", among);
  const rows = sql.all(
    `SELECT sequence, lock, ${asHex("record")} FROM history WHERE sequence < ?1 AND sequence > ?4 AND (?2 IS NULL OR lock = ?2) ORDER BY sequence DESC LIMIT ?3`,
    before ?? Number.MAX_SAFE_INTEGER,
    lock,
    limit,
    (surplus?.["sequence"] as number | undefined) ?? -1,
  );
  return rows.map(archivedOf);
}

/** Forgets all but the newest `keep` records of a lock, or of all (`null`), and of all what ended before `oldest`. */
export function trimArchive(sql: Sql, lock: string | null, keep: number, oldest: number): void {
  const surplus = sql.one(
    "SELECT sequence FROM history WHERE ?1 IS NULL OR lock = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2",
    lock,
    keep,
  );
  if (surplus !== null)
    sql.run("DELETE FROM history WHERE (?1 IS NULL OR lock = ?1) AND sequence <= ?2", lock, surplus["sequence"] as number);
  while (lock === null && oldest > Number.NEGATIVE_INFINITY) {
    // They stand about in the order in which they ended: a lease is recorded some time after its end.
    const eldest = sql
      .all(`SELECT sequence, lock, ${asHex("record")} FROM history ORDER BY sequence LIMIT ?`, AGED)
      .map(archivedOf);
    const young = eldest.findIndex(({ endedAt }) => endedAt > oldest);
    const last = (young < 0 ? eldest : eldest.slice(0, young)).at(-1);
    if (last !== undefined) sql.run("DELETE FROM history WHERE sequence <= ?", last.sequence);
    if (young >= 0 || eldest.length < AGED) return;
  }
}

function archivedOf(row: Row): Archived {
  const record = textOf(row["record"]);
  return { lock: row["lock"] as string, sequence: row["sequence"] as number, endedAt: endIn(record), record };
}

/** NaN for what is no record. */
function endIn(record: string): number {
  try {
    const { endedAt } = JSON.parse(record) as { readonly endedAt?: unknown };
    return typeof endedAt === "number" ? endedAt : Number.NaN;
  } catch {
    return Number.NaN;
  }
}
