// The tables, their version, and the counter that every write draws from.
import type { Database, Sql } from "./database.js";
import { corrupt } from "./database.js";
import { unusable } from "./file.js";
import { refuseStrangers } from "./strangers.js";
import { DOCUMENTS, TRAIL } from "./trail.js";

/** The version of the tables below. A database of a later version belongs to a later Holdline. */
const VERSION = 1;

/** "HLDN", in the file's header: what has tables and not this belongs to another program. */
const APPLICATION_ID = 0x484c444e;

// counter    fencing tokens and revisions: every value is given out once, so that none ever comes back
// clock      see clock.ts
// sessions   one row for each open coordinator, with the process that it is in
// claims     the queues, ordered by position; ephemeral ones go with their session. key and slots are what the rule
//            goes by, and session tells who has joined, settled or adopted last: while it is there, that owner lives
// history    ended durable claims, bounded for each lock
// changes, documents    see trail.ts
const TABLES = `
  CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT;
  INSERT INTO counter VALUES (1, 0);
  CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1), boot_id TEXT, uptime_ms INTEGER NOT NULL, epoch_ms INTEGER NOT NULL, latest_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY, boot_id TEXT, pid_namespace TEXT, pid INTEGER NOT NULL, start_ticks INTEGER
  ) STRICT;
  CREATE TABLE claims (
    position INTEGER PRIMARY KEY AUTOINCREMENT, lock TEXT NOT NULL, claim TEXT NOT NULL, session TEXT NOT NULL,
    durable INTEGER NOT NULL CHECK (durable IN (0, 1)), key TEXT, slots INTEGER CHECK (slots >= 1),
    revision INTEGER NOT NULL, since_ms INTEGER NOT NULL, fencing_token INTEGER, record TEXT NOT NULL,
    UNIQUE (lock, claim)
  ) STRICT;
  CREATE TABLE history (sequence INTEGER PRIMARY KEY AUTOINCREMENT, lock TEXT NOT NULL, record TEXT NOT NULL) STRICT;
  CREATE INDEX history_of_lock ON history (lock, sequence);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${VERSION};
`;

/**
 * Makes the tables where there are none yet, and refuses what is not ours to touch.
 * @param patienceMs how long a session that begins may take until it is in the database
 * @throws UnreachableError
 */
export async function prepareSchema(database: Database, patienceMs: number): Promise<void> {
  // Every commit is on the disk before it counts, and readers hinder no writer.
  await database.configure(["journal_mode = WAL", "synchronous = FULL"]);
  const isReady = await database.read(undefined, (sql) => inspect(database.path, sql) === "ready");
  // Before anything is written: where a database has been taken away in part, tables made anew would damage what is left.
  await refuseStrangers(database, patienceMs);
  if (!isReady) {
    await database.write(undefined, (sql) => {
      // Another process may have made them meanwhile.
      const found = inspect(database.path, sql);
      if (found === "empty") sql.script(TABLES);
      // A database of before gets these as well: versions that know nothing of them are not hindered by them.
      if (!hasTable(sql, "changes")) sql.script(TRAIL);
      if (!hasTable(sql, "documents")) sql.script(DOCUMENTS);
    });
  }
}

/** Makes the tables where there is nothing yet. */
export async function makeTables(database: Database): Promise<void> {
  await database.write(undefined, (sql) => sql.script(`${TABLES}${TRAIL}${DOCUMENTS}`));
}

/** Refuses what is not ours to read. @throws UnreachableError */
export async function checkSchema(database: Database): Promise<void> {
  const found = await database.read(undefined, (sql) => inspect(database.path, sql));
  if (found === "empty") throw unusable(database.path, "it is empty", { hint: "what runs or locks something makes its tables" });
}

function inspect(path: string, sql: Sql): "ready" | "incomplete" | "empty" {
  const version = pragma(sql, "user_version");
  const application = pragma(sql, "application_id");
  const tables = sql.one("SELECT count(*) AS count FROM sqlite_schema");
  if (version === 0 && application === 0 && tables?.["count"] === 0) return "empty";
  if (application !== APPLICATION_ID) {
    throw unusable(path, "it belongs to another program", { hint: "name another file in the coordinator's URL" });
  }
  if (version > VERSION) {
    throw unusable(path, `its version is ${version}, and this holdline knows versions up to ${VERSION}`, {
      hint: "a later holdline has been here: update this one",
    });
  }
  // A damaged page could hide a claim, and then two would hold one lock: better to stop here.
  const [finding] = sql.all("PRAGMA quick_check(1)");
  const words = finding === undefined ? "no answer" : String(Object.values(finding)[0]);
  if (words !== "ok") throw corrupt(path, words);
  return hasTable(sql, "changes") && hasTable(sql, "documents") ? "ready" : "incomplete";
}

/** Whether the database has a table, as those of an earlier version may not. */
export function hasTable(sql: Sql, name: string): boolean {
  return sql.one("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", name) !== null;
}

function pragma(sql: Sql, name: string): number {
  return Number(sql.one(`PRAGMA ${name}`)?.[name] ?? 0);
}

/** The next value of the counter: greater than all that were given out before, in any transaction. */
export function drawNumber(sql: Sql): number {
  return sql.one("UPDATE counter SET value = value + 1 WHERE id = 1 RETURNING value")?.["value"] as number;
}

/** The last value that the counter has given out. */
export function latestNumber(sql: Sql): number {
  return sql.one("SELECT value FROM counter WHERE id = 1")?.["value"] as number;
}
