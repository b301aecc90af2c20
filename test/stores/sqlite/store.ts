// SQLite files for tests: a store of a test's own, contenders on it, and hands in its tables.
import { copyFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Libsql from "libsql";
import { onTestFinished } from "vitest";
import { openSqlite } from "../../../src/stores/sqlite/index.js";
import type { Coordinator, CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { type Contender, type ContenderTask, startContender } from "../../support/contenders.js";
import { noteClosed, noteOpen } from "../../support/leaks.js";
import { freshDirectory, freshId } from "../../support/roots.js";
import { RELEASED, takeDurably, TEST_OPTIONS, type TestStore } from "../../coordinators/conformance/store.js";

/** A database for the conformance suite. */
export async function openSqliteTestStore(): Promise<TestStore> {
  const directory = await mkdtemp(join(tmpdir(), "holdline-sqlite-"));
  const path = join(directory, "state", "holdline.db");
  return {
    open: async (options = {}) => ({ coordinator: await openSqlite(urlOf(path), { ...TEST_OPTIONS, ...options }), faults: null }),
    startContender: (task) => startContender({ kind: KIND, url: urlOf(path), options: TEST_OPTIONS, task }),
    plantGarbageClaim: async (lock) => {
      meddle(path, (db) => {
        const [session] = db.prepare("SELECT id FROM sessions").all() as { id: string }[];
        const planted =
          "INSERT INTO claims (lock, claim, session, durable, slots, revision, since_ms, record) VALUES (?, ?, ?, 0, 1, 0, 0, ?)";
        db.prepare(planted).run(lock, freshId(), session?.id, "{not json");
      });
    },
    plantGarbageHistory: async (lock) => {
      meddle(path, (db) => db.prepare("INSERT INTO history (lock, record) VALUES (?, ?)").run(lock, "\u0000garbage{"));
    },
    unreachable: async () => ({}),
    close: () => rm(directory, { recursive: true, force: true }),
  };
}

const KIND = { coordinator: "stores/sqlite", opener: "openSqlite" };

export function urlOf(path: string): string {
  return `sqlite://${path}`;
}

/** Opens a coordinator that is closed when the test has finished. */
export async function openFor(path: string, options: Partial<CoordinatorOptions> = {}): Promise<Coordinator> {
  const coordinator = await openSqlite(urlOf(path), { ...TEST_OPTIONS, ...options });
  noteOpen(coordinator, "a coordinator");
  onTestFinished(async () => {
    await coordinator.close();
    noteClosed(coordinator);
  });
  return coordinator;
}

/** Starts a contender that is killed when the test has finished. */
export async function contenderFor(
  path: string,
  task: ContenderTask,
  under: readonly string[] = [],
  options: Partial<CoordinatorOptions> = {},
): Promise<Contender> {
  const contender = await startContender({ kind: KIND, url: urlOf(path), options: { ...TEST_OPTIONS, ...options }, task, under });
  onTestFinished(() => contender.kill());
  return contender;
}

/** Where a test's database is to be. */
export async function freshPath(): Promise<string> {
  return join(await freshDirectory(), "holdline.db");
}

/** A database with a history and a claim on "kept" in it, which no process has open. */
export async function usedDatabase(): Promise<string> {
  const path = await freshPath();
  const coordinator = await openFor(path);
  for (let index = 0; index < 200; index += 1) {
    const { draft, settled } = await takeDurably(coordinator, `lock-${index % 7}`, { data: "x".repeat(200) });
    await coordinator.leave(draft.id, settled.entries, RELEASED);
  }
  await takeDurably(coordinator, "kept");
  await coordinator.close();
  // Everything into the main file, where the tests below do their harm.
  meddle(path, (db) => db.pragma("wal_checkpoint(TRUNCATE)"));
  // A connection is really closed when the garbage collector comes: only a copy is free of those of this process.
  const copy = await freshPath();
  copyFileSync(path, copy);
  return copy;
}

/** Does something to a database behind Holdline's back. */
export function meddle<T>(path: string, deed: (db: Libsql.Database) => T): T {
  const db = new Libsql(path, { timeout: 5_000 });
  try {
    return deed(db);
  } finally {
    db.close();
  }
}

/** Keeps a database locked, as a process that hangs in the middle of a transaction would. */
export function lockDatabase(path: string): { unlock(): void } {
  const db = new Libsql(path, { timeout: 5_000 });
  db.exec("BEGIN IMMEDIATE");
  let locked = true;
  const unlock = (): void => {
    if (locked) db.exec("ROLLBACK");
    locked = false;
    db.close();
  };
  onTestFinished(() => {
    if (locked) unlock();
  });
  return { unlock };
}
