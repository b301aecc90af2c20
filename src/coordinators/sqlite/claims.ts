// The rows of the queues, as the seam's claims and places: reading them, and what a conditional write finds.
import type { Claim, ClaimRecord } from "../../locks/claim.js";
import { decodeRecord } from "../../locks/claim.js";
import type { EntryRef, Ahead, QueuePosition } from "../../locks/coordinator.js";
import type { Row, Sql } from "./database.js";
import { asHex, textOf } from "./database.js";

/** A row of `claims` as far as writes need it. */
export interface ClaimRow {
  readonly position: number;
  readonly claim: string;
  readonly session: string;
  readonly durable: boolean;
  readonly revision: number;
  readonly sinceMs: number;
  readonly fencingToken: number | null;
}

const COLUMNS = "position, claim, session, durable, revision, since_ms, fencing_token";
const ALL_COLUMNS = `${COLUMNS}, key, slots, ${asHex("record")}`;

/** An entry that is taken out. */
export interface Leaving {
  /** In which it is. */
  readonly session: string;
  /** Does anybody stand behind it? */
  readonly hasFollowers: boolean;
}

/** A row of `claims` with what its end needs to know of it. */
export interface WholeRow extends ClaimRow, Leaving {
  readonly record: string;
}

const FIND_ROW = `SELECT ${COLUMNS} FROM claims WHERE lock = ? AND position = ?`;
const FIND_CLAIM = `SELECT ${COLUMNS} FROM claims WHERE lock = ? AND claim = ?`;

const HAS_FOLLOWERS =
  "EXISTS (SELECT 1 FROM claims AS other WHERE other.lock = claims.lock AND other.position > claims.position) AS has_followers";
const FIND_WHOLE = `SELECT ${COLUMNS}, ${HAS_FOLLOWERS}, ${asHex("record")} FROM claims WHERE lock = ? AND position = ?`;
const WITHDRAW = `DELETE FROM claims WHERE lock = ? AND position = ? AND durable = 0 RETURNING session, ${HAS_FOLLOWERS}`;

/** The row of an entry; `null` when it is not there. */
export function findRow(sql: Sql, { lock, ref }: Pick<EntryRef, "lock" | "ref">): ClaimRow | null {
  const row = sql.one(FIND_ROW, lock, positionOf(ref));
  return row === null ? null : rowOf(row);
}

/** The row of a claim in a lock's queue; `null` when it is not there. */
export function findClaim(sql: Sql, lock: string, claim: string): ClaimRow | null {
  const row = sql.one(FIND_CLAIM, lock, claim);
  return row === null ? null : rowOf(row);
}

function rowOf(row: Row): ClaimRow {
  return {
    position: row["position"] as number,
    claim: row["claim"] as string,
    session: row["session"] as string,
    durable: row["durable"] === 1,
    revision: row["revision"] as number,
    sinceMs: row["since_ms"] as number,
    fencingToken: row["fencing_token"] as number | null,
  };
}

/** Does anybody claim the lock? */
export function isClaimed(sql: Sql, lock: string): boolean {
  return sql.one("SELECT 1 FROM claims WHERE lock = ? LIMIT 1", lock) !== null;
}

/** Takes an ephemeral entry out of its queue; `null` when there is none such. */
export function removeEphemeral(sql: Sql, { lock, ref }: Pick<EntryRef, "lock" | "ref">): Leaving | null {
  const row = sql.one(WITHDRAW, lock, positionOf(ref));
  return row === null ? null : leavingIn(row);
}

/** The rows of a claim's durable entries, if they are all as they were read; `gone` when none of them is there any more. */
export function findUnchanged(sql: Sql, id: string, entries: readonly EntryRef[]): readonly WholeRow[] | "gone" | "changed" {
  const rows = entries.map((entry) => findWhole(sql, entry)).map((row) => (row?.claim === id ? row : null));
  if (rows.every((row) => row === null)) return "gone";
  const isUnchanged = rows.every((row, index) => row !== null && row.durable && row.revision === entries[index]?.revision);
  return isUnchanged ? (rows as readonly WholeRow[]) : "changed";
}

function findWhole(sql: Sql, { lock, ref }: EntryRef): WholeRow | null {
  const row = sql.one(FIND_WHOLE, lock, positionOf(ref));
  return row === null ? null : { ...rowOf(row), ...leavingIn(row), record: textOf(row["record"]) };
}

function leavingIn(row: Row): Leaving {
  return { session: row["session"] as string, hasFollowers: row["has_followers"] === 1 };
}

/** An entry's standing: itself, and those ahead of it. */
export function standingOf(sql: Sql, lock: string, { position, revision }: Pick<ClaimRow, "position" | "revision">): QueuePosition {
  const ahead = sql.all(
    "SELECT position, key, slots FROM claims WHERE lock = ? AND position < ? ORDER BY position",
    lock,
    position,
  );
  return { lock, ref: refOf(position), revision, ahead: ahead.map(placeOf) };
}

function placeOf(row: Row): Ahead {
  return { ref: refOf(row["position"] as number), key: row["key"] as string | null, slots: slotsIn(row) };
}

/** Of these entries of a lock, those that are not there. */
export function findDeparted(sql: Sql, lock: string, refs: readonly string[]): readonly string[] {
  const there = sql.all(
    "SELECT position FROM claims WHERE lock = ? AND position IN (SELECT value FROM json_each(?))",
    lock,
    JSON.stringify(refs.map(positionOf)),
  );
  const present = new Set(there.map((row) => refOf(row["position"] as number)));
  return refs.filter((ref) => !present.has(ref));
}

/** The first claims of a lock's queue in order. */
export function readQueue(sql: Sql, lock: string, first: number): readonly Claim[] {
  const rows = sql.all(
    `SELECT ${ALL_COLUMNS}, session IN (SELECT id FROM sessions) AS is_alive FROM claims WHERE lock = ? ORDER BY position LIMIT ?`,
    lock,
    first,
  );
  return rows.map((row) => claimOf(lock, row));
}

/** The entries that were made, settled or adopted in these sessions. */
export function findOfSessions(sql: Sql, sessions: readonly string[]): ReadonlySet<string> {
  if (sessions.length === 0) return new Set();
  const rows = sql.all("SELECT position FROM claims WHERE session IN (SELECT value FROM json_each(?))", JSON.stringify(sessions));
  return new Set(rows.map((row) => refOf(row["position"] as number)));
}

/** All entries of a claim, sorted by lock. */
export function findEntries(sql: Sql, claim: string): readonly Claim[] {
  // The index of locks and claims is all that the inner question has to go through, which is short against the table.
  const rows = sql.all(
    `SELECT lock, ${ALL_COLUMNS}, session IN (SELECT id FROM sessions) AS is_alive FROM claims
     WHERE position IN (SELECT position FROM claims WHERE claim = ?)`,
    claim,
  );
  return rows
    .map((row) => claimOf(row["lock"] as string, row))
    .sort((one, other) => (one.lock < other.lock ? -1 : Number(one.lock > other.lock)));
}

function claimOf(lock: string, row: Row): Claim {
  const { position, claim, durable, revision, sinceMs, fencingToken } = rowOf(row);
  const record = decodeRecord(textOf(row["record"])) ?? UNREADABLE;
  return {
    ...record,
    id: claim,
    lock,
    ref: refOf(position),
    revision,
    durable,
    alive: !durable || record.lease !== null || row["is_alive"] === 1,
    since: sinceMs,
    fencingToken,
    // What the rule goes by, whatever the record says.
    key: row["key"] as string | null,
    slots: slotsIn(row),
  };
}

/** What is said of a claim whose record cannot be read. */
const UNREADABLE: ClaimRecord = {
  owner: { node: "unknown", principal: "unknown", action: null, process: null },
  key: null,
  slots: 1,
  made: null,
  lease: null,
  expiresAt: null,
  reason: null,
  data: null,
  failure: null,
};

/** `slots` as a column holds it: nothing stands for no limit. */
export function slotsColumn(slots: number): number | null {
  return Number.isFinite(slots) ? slots : null;
}

function slotsIn(row: Row): number {
  return (row["slots"] as number | null) ?? Number.POSITIVE_INFINITY;
}

/** An entry's name is its position in the table, which is never used twice. */
export function refOf(position: number): string {
  return String(position);
}

/** The position that a ref names; -1, where nothing ever is, for what no store of this kind has given out. */
function positionOf(ref: string): number {
  return /^[1-9]\d{0,15}$/.test(ref) ? Number(ref) : -1;
}
