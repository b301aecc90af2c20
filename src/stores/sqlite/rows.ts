// The rows of the queues as the engine's places and entries.
import type { StoredEntry, StoredPlace } from "../../queue/store.js";
import { asHex, type Row, type Sql, textOf } from "./database.js";

const PLACE_COLUMNS = "position, claim, session, durable, key, slots, revision";
const ENTRY_COLUMNS = `lock, ${PLACE_COLUMNS}, since_ms, fencing_token, ${asHex("record")}`;

/** Whether a session lives. Asked once for each in a look. */
export type SessionSight = (session: string) => boolean;

/** A lock's queue in order, or of it the entries `refs` alone. */
export function readPlaces(
  sql: Sql,
  lock: string,
  refs: readonly string[] | undefined,
  lives: SessionSight,
): readonly StoredPlace[] {
  const rows =
    refs === undefined
      ? sql.all(`SELECT ${PLACE_COLUMNS} FROM claims WHERE lock = ? ORDER BY position`, lock)
      : sql.all(
          `SELECT ${PLACE_COLUMNS} FROM claims WHERE lock = ? AND position IN (SELECT value FROM json_each(?)) ORDER BY position`,
          lock,
          JSON.stringify(refs.map(positionOf)),
        );
  return rows.map((row) => placeOf(row, lives));
}

/** The first entries of a lock's queue in order. */
export function readEntries(sql: Sql, lock: string, first: number, lives: SessionSight): readonly StoredEntry[] {
  const rows = sql.all(`SELECT ${ENTRY_COLUMNS} FROM claims WHERE lock = ? ORDER BY position LIMIT ?`, lock, first);
  return rows.map((row) => entryOf(row, lives));
}

/** All entries of a claim, sorted by lock. */
export function readClaimEntries(sql: Sql, claim: string, lives: SessionSight): readonly StoredEntry[] {
  // The index of locks and claims is all that the inner question has to go through, which is short against the table.
  const rows = sql.all(
    `SELECT ${ENTRY_COLUMNS} FROM claims WHERE position IN (SELECT position FROM claims WHERE claim = ?)`,
    claim,
  );
  return rows.map((row) => entryOf(row, lives)).sort((one, other) => (one.lock < other.lock ? -1 : Number(one.lock > other.lock)));
}

function placeOf(row: Row, lives: SessionSight): StoredPlace {
  const session = sessionIn(row);
  return {
    ref: refOf(row["position"] as number),
    claim: row["claim"] as string,
    key: row["key"] as string | null,
    slots: (row["slots"] as number | null) ?? Number.POSITIVE_INFINITY,
    durable: row["durable"] === 1,
    session,
    isSessionAlive: session !== null && lives(session),
    revision: row["revision"] as number,
  };
}

function entryOf(row: Row, lives: SessionSight): StoredEntry {
  return {
    ...placeOf(row, lives),
    lock: row["lock"] as string,
    token: row["fencing_token"] as number | null,
    since: row["since_ms"] as number,
    record: textOf(row["record"]),
  };
}

/** The column takes no NULL, as version 0.1 has made it: what depends on no session has an empty one. */
export function sessionColumn(session: string | null): string {
  return session ?? "";
}

function sessionIn(row: Row): string | null {
  const session = row["session"] as string;
  return session === "" ? null : session;
}

/** `slots` as a column holds it: nothing stands for no limit. */
export function slotsColumn(slots: number): number | null {
  return Number.isFinite(slots) ? slots : null;
}

/** An entry's name is its position in the table, which is never used twice. */
export function refOf(position: number): string {
  return String(position);
}

/** The position that a ref names; -1, where nothing ever is, for what no store of this kind has given out. */
export function positionOf(ref: string): number {
  return /^[1-9]\d{0,15}$/.test(ref) ? Number(ref) : -1;
}
