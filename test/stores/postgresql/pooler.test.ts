// PostgreSQL behind pgbouncer in transaction mode: each request may have another server process, nothing outlives a transaction, and no
// notification comes.
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import type { Change } from "../../../src/locks/coordinator.js";
import { stageFor } from "../../../src/conformance/stage.js";
import { describeTurns } from "../../../src/conformance/turns.js";
import { failOnLeaks } from "../../support/leaks.js";
import { PGBOUNCER_PROBLEM, type Pgbouncer, startPgbouncer } from "../../support/servers/pgbouncer.js";
import { connectPostgres } from "../../support/servers/postgresql-client.js";
import { until, within } from "../../support/wait.js";
import { draftFor, idsIn, only, RELEASED, takeDurably } from "../../coordinators/conformance/store.js";
import { openPostgresTestStore } from "./place.js";

failOnLeaks();

const server = inject("postgresql");
const missing = server.missing ?? PGBOUNCER_PROBLEM;
const place = server.missing === null ? server : { host: "", port: 0 };

let pooler: Pgbouncer;
// Fewer than there are clients in any of these tests.
const CONNECTIONS = 2;

beforeAll(async () => {
  if (missing === null) pooler = await startPgbouncer(place, CONNECTIONS);
});

afterAll(async () => {
  if (missing === null) await pooler.close();
});

describe.skipIf(missing !== null)("PostgreSQL behind pgbouncer", () => {
  const stage = stageFor({
    hasFaults: true,
    goneWithinMs: 10_000,
    open: async () => openPostgresTestStore(place, pooler),
  });

  test("is told apart: who waits looks by itself, and check --live says so", async () => {
    const coordinator = await stage.open();
    expect(coordinator.traits.wakes).toBe("poll");
    expect((await coordinator.examine?.())?.facts).toMatchObject({ wakes: "by looking: a pooler passes no notifications on" });
  });

  test("serves more clients than it has connections", async () => {
    const coordinators = await Promise.all(Array.from({ length: 3 * CONNECTIONS }, () => stage.open()));
    const joined = await Promise.all(coordinators.map((coordinator) => coordinator.join(draftFor("a"))));
    expect(new Set(joined.map((one) => only(one).ref)).size).toBe(3 * CONNECTIONS);
  });

  test("has its waiters and its watchers hear of what comes", async () => {
    const [one, other] = [await stage.open(), await stage.open()];
    const { draft, settled } = await takeDurably(one, "a");
    const waiting = await other.join(draftFor("a"));
    const departed = other.departed(
      waiting,
      "a",
      [draft.id].map(() => settled.entries[0]!.ref),
    );
    const changes: Change[] = [];
    const watch = await other.watch((change) => void changes.push(change));
    onTestFinished(() => watch.close());
    expect(await one.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    await watch.caughtUp();
    expect(changes.length).toBeGreaterThan(0);
    expect(await within(departed, "the waiter's turn")).toEqual([settled.entries[0]!.ref]);
    changes.length = 0;
    await takeDurably(one, "b");
    await until(() => changes.length > 0, "the watcher to hear of it by itself");
    expect(await idsIn(other, "b")).toHaveLength(1);
  });

  test("leaves nothing in the server's processes", async () => {
    const [one, other] = [await stage.open(), await stage.open()];
    await takeDurably(one, "a");
    const watch = await other.watch(() => undefined);
    await watch.caughtUp();
    watch.close();
    // What the next client of the same processes would have.
    for (let asked = 0; asked < 2 * CONNECTIONS; asked += 1) {
      const rows = await connectPostgres(pooler, (query) =>
        query(
          `SELECT (SELECT count(*) FROM pg_prepared_statements)::int AS statements, (SELECT count(*) FROM pg_listening_channels())::int AS channels,
                  current_setting('lock_timeout') AS "lockTimeout", current_setting('search_path') AS "searchPath",
                  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')::int AS locks`,
        ),
      );
      expect(rows).toEqual([{ statements: 0, channels: 0, lockTimeout: "0", searchPath: '"$user", public', locks: 0 }]);
    }
  });

  describeTurns(stage);
});
