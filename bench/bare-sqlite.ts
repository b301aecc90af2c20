// The references on SQLite: the driver alone. It writes the rows that Holdline writes, in as many transactions, and reads nothing
// first. So it excludes nobody, and only what one process does alone can be compared with it.
import { randomUUID } from "node:crypto";
import type Libsql from "libsql";
import { loadDriver } from "../src/stores/sqlite/driver.js";
import { encodeRecord } from "../src/locks/claim.js";
import { draftOf, HISTORY_KEEP, openStore, recordOf } from "./holdline.js";
import type { Member, Peer } from "./peer.js";

/** Holdline trims a lock's history, in a transaction of its own, when it is a tenth too long: once in so many releases. */
const TRIM_EVERY = HISTORY_KEEP / 10 + 1;

// As long as the record that Holdline writes for a claim of the benchmark, so that SQLite writes as many pages. Made only once.
const RECORD = encodeRecord(recordOf(draftOf("bare")));
const ENDING = JSON.stringify({
  claim: randomUUID(),
  event: "released",
  by: "bench",
  reason: null,
  claimedAt: Date.now(),
  endedAt: Date.now(),
  record: RECORD,
});

/** Two transactions: a row that comes and goes. */
export const bareSqlite: Peer = { name: "bare-sqlite", store: "sqlite", open: (path) => openMember(path, false) };

/** Three: the row is changed as well, and goes with a record in the history. */
export const bareSqliteDurable: Peer = { name: "bare-sqlite-durable", store: "sqlite", open: (path) => openMember(path, true) };

async function openMember(path: string, isDurable: boolean): Promise<Member> {
  // Makes Holdline's tables and indexes; the file stays in the same mode.
  await (await openStore(`sqlite://${path}`)).close();
  const Driver = await loadDriver();
  const database = new Driver(path, { timeout: 10_000 });
  database.prepare("PRAGMA synchronous = FULL").all();
  const { join, settle, withdraw, leave, trim } = prepare(database);
  let releases = 0;
  return {
    acquire: async (lock) => {
      const position = join(lock);
      if (!isDurable) return async () => withdraw(position);
      settle(position);
      return async () => {
        leave(position, lock);
        releases += 1;
        if (releases % TRIM_EVERY === 0) trim(lock);
      };
    },
    close: async () => void database.close(),
  };
}

function prepare(database: Libsql.Database) {
  const transact = <T>(work: () => T): T => {
    database.exec("BEGIN IMMEDIATE");
    const result = work();
    database.exec("COMMIT");
    return result;
  };
  const tick = database.prepare("UPDATE clock SET latest_ms = ? WHERE id = 1");
  const draw = database.prepare("UPDATE counter SET value = value + 1 WHERE id = 1 RETURNING value");
  const insert = database.prepare(
    `INSERT INTO claims (lock, claim, session, durable, key, slots, revision, since_ms, fencing_token, record)
     VALUES (?, ?, 'bare', 0, NULL, 1, ?, ?, NULL, ?) RETURNING position`,
  );
  const change = database.prepare(
    "UPDATE claims SET durable = 1, revision = ?, since_ms = ?, fencing_token = ?, record = ? WHERE position = ?",
  );
  const remove = database.prepare("DELETE FROM claims WHERE position = ?");
  const record = database.prepare("INSERT INTO history (lock, record) VALUES (?, ?)");
  const newest = database.prepare("SELECT sequence FROM history WHERE lock = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?");
  const forget = database.prepare("DELETE FROM history WHERE lock = ? AND sequence <= ?");
  const drawn = (): number => (draw.get() as { readonly value: number }).value;
  return {
    join: (lock: string): number =>
      transact(() => {
        const now = Date.now();
        tick.run(now);
        return (insert.get(lock, randomUUID(), drawn(), now, RECORD) as { readonly position: number }).position;
      }),
    settle: (position: number) =>
      transact(() => {
        const now = Date.now();
        tick.run(now);
        const token = drawn();
        change.run(token, now, token, RECORD, position);
      }),
    withdraw: (position: number) =>
      transact(() => {
        remove.run(position);
        drawn();
      }),
    leave: (position: number, lock: string) =>
      transact(() => {
        drawn();
        tick.run(Date.now());
        remove.run(position);
        record.run(lock, ENDING);
      }),
    trim: (lock: string) =>
      transact(() => {
        const last = newest.get(lock, HISTORY_KEEP) as { readonly sequence: number } | undefined;
        if (last !== undefined) forget.run(lock, last.sequence);
      }),
  };
}
