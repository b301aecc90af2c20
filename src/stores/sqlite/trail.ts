// The trail that writers leave: which queues have been written to, so that whoever watches need not read all of them again.
// Joins are seen from the queues themselves, where positions only grow, and the ends of sessions from what sessions there are.
// All else is written down by triggers, so that no writer can forget it, not even an earlier Holdline that has the same
// database open.
import type { Sql, SqlValue } from "./database.js";

/** So much of the trail is kept at least, in changes: more than there are between two looks of those who follow it. */
const KEPT = 1_024;

/** The tables' part in it. A database of before gets it as well: those that know nothing of it are not hindered by it. */
export const TRAIL = `
  CREATE TABLE changes (sequence INTEGER PRIMARY KEY, lock TEXT NOT NULL) STRICT;
  CREATE TRIGGER claim_written AFTER UPDATE ON claims BEGIN INSERT INTO changes (lock) VALUES (NEW.lock); END;
  CREATE TRIGGER claim_removed AFTER DELETE ON claims BEGIN INSERT INTO changes (lock) VALUES (OLD.lock); END;
  CREATE TRIGGER trail_too_long AFTER INSERT ON changes WHEN NEW.sequence % (${KEPT} / 4) = 0 BEGIN
    DELETE FROM changes WHERE sequence <= NEW.sequence - ${KEPT};
  END;
`;

/** No lock's name begins so. */
const DOCUMENT = "/document/";

/**
 * The documents' table, whose changes are in the same trail: a lock's name never begins with a slash.
 */
export const DOCUMENTS = `
  CREATE TABLE documents (name TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL) STRICT;
  CREATE TRIGGER document_added AFTER INSERT ON documents BEGIN INSERT INTO changes (lock) VALUES ('${DOCUMENT}' || NEW.name); END;
  CREATE TRIGGER document_removed AFTER DELETE ON documents BEGIN INSERT INTO changes (lock) VALUES ('${DOCUMENT}' || OLD.name); END;
`;

/** What a name in the trail is of. */
export function changeIn(name: string): { readonly lock: string } | { readonly document: string } {
  return name.startsWith(DOCUMENT) ? { document: name.slice(DOCUMENT.length) } : { lock: name };
}

/** How far the trail has been followed. */
export interface Mark {
  /** No claim that stood further back had joined yet. */
  readonly position: number;
  /** Of the last change that was written down. */
  readonly sequence: number;
  /** Those that there were. */
  readonly sessions: ReadonlySet<string>;
}

/** A part of the trail. */
export interface Step {
  /** Its end. */
  readonly mark: Mark;
  /** What has been written to since its beginning, see {@link changeIn}; `null` where that cannot be said any more. */
  readonly written: readonly string[] | null;
}

/** Where the trail ends now, and what has changed since an earlier end of it; `null` for one that is not known. */
export function followTrail(sql: Sql, since: Mark | null): Step {
  const ends = sql.one(
    `SELECT (SELECT max(position) FROM claims) AS position, (SELECT max(sequence) FROM changes) AS sequence,
       (SELECT min(sequence) FROM changes) AS oldest`,
  );
  const sessions = sql.all("SELECT id FROM sessions").map((row) => row["id"] as string);
  const mark: Mark = {
    position: Number(ends?.["position"] ?? 0),
    sequence: Number(ends?.["sequence"] ?? 0),
    sessions: new Set(sessions),
  };
  const isWhole = since !== null && mark.sequence >= since.sequence && Number(ends?.["oldest"] ?? 1) <= since.sequence + 1;
  return { mark, written: isWhole ? [...writtenSince(sql, since), ...bereavedSince(sql, since, mark)] : null };
}

function writtenSince(sql: Sql, { position, sequence }: Mark): readonly string[] {
  return locksOf(
    sql,
    "SELECT lock FROM claims WHERE position > ? UNION SELECT lock FROM changes WHERE sequence > ?",
    position,
    sequence,
  );
}

/** The locks of the durable claims whose sessions have ended, which stay and show that nobody runs them. */
function bereavedSince(sql: Sql, since: Mark, { sessions }: Mark): readonly string[] {
  const ended = [...since.sessions].filter((id) => !sessions.has(id));
  if (ended.length === 0) return [];
  return locksOf(sql, "SELECT DISTINCT lock FROM claims WHERE session IN (SELECT value FROM json_each(?))", JSON.stringify(ended));
}

function locksOf(sql: Sql, statement: string, ...values: readonly SqlValue[]): readonly string[] {
  return sql.all(statement, ...values).map((row) => row["lock"] as string);
}
