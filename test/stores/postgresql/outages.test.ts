// What a server does to its clients: it is killed, restarted and frozen, ends connections, has none left, and has rows that somebody locks.
// The servers are this file's own.
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFinished, test } from "vitest";
import pg from "pg";
import type { CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { UnreachableError } from "../../../src/locks/errors.js";
import type { QueueEngine } from "../../../src/queue/engine.js";
import { openPostgres, openPostgresStore } from "../../../src/stores/postgresql/index.js";
import { failOnLeaks } from "../../support/leaks.js";
import { type PostgresServer, startPostgres } from "../../support/servers/postgresql.js";
import { until, within } from "../../support/wait.js";
import { draftFor, idsIn, RELEASED, takeDurably, TEST_OPTIONS } from "../../coordinators/conformance/store.js";
import { freshSchema } from "./place.js";

failOnLeaks();

const missing = inject("postgresql").missing;

let server: PostgresServer;
let schema: string;

beforeAll(async () => {
  if (missing === null)
    server = await startPostgres({ isInMemory: true, settings: ["max_connections = 20", "superuser_reserved_connections = 3"] });
});

afterAll(async () => {
  if (missing === null) await server.close();
});

beforeEach(() => {
  schema = freshSchema();
});

async function open(options: Partial<CoordinatorOptions> = {}, user = "postgres", at = server): Promise<QueueEngine> {
  const engine = await openPostgres(at.url(schema, { user }), { ...TEST_OPTIONS, ...options });
  onTestFinished(() => engine.close());
  return engine;
}

/** A server of the running test's, which that may start again. */
async function startOwn(): Promise<PostgresServer> {
  const own = await startPostgres({ isInMemory: true });
  onTestFinished(() => own.close());
  return own;
}

/** A connection that the test holds, as somebody's psql. */
async function connectPlainly(user = "postgres"): Promise<pg.Client> {
  const client = new pg.Client({ host: server.host, port: server.port, user, database: "postgres" });
  client.on("error", () => undefined);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

describe.skipIf(missing !== null)("a PostgreSQL server", () => {
  test("that takes no writes any more is left for another one", async () => {
    const own = await startOwn();
    const store = await openPostgresStore(own.url(schema), TEST_OPTIONS);
    onTestFinished(() => store.close());
    await store.openSession(5_000);
    const admin = new pg.Client({ host: own.host, port: own.port, user: "postgres", database: "postgres" });
    await admin.connect();
    await admin.query("ALTER SYSTEM SET default_transaction_read_only = on");
    await admin.query("SELECT pg_reload_conf()");
    await admin.end();
    const refusal = () => store.openSession(5_000).then(String, (error: Error) => error.message);
    // It says so where it is looked at before it is used, as it is on a new connection.
    await until(async () => /takes no writes/.test(await refusal()), "the server to be left");
  });

  test("that is killed in the middle of commits keeps each that it has confirmed, and no claim is doubled", async () => {
    const own = await startOwn();
    const engine = await open({ sessionTimeoutMs: 30_000 }, "postgres", own);
    await takeDurably(engine, "first");
    let confirmed = 0;
    const claims = Array.from({ length: 12 }, (_, index) =>
      takeDurably(engine, `lock-${index}`).then((taken) => {
        confirmed += 1;
        return taken;
      }),
    );
    await until(() => confirmed > 2, "some to be confirmed");
    await own.process.kill();
    await own.process.restart();
    const taken = await within(Promise.all(claims), "all to be settled", 20_000);
    for (const { draft, settled } of taken) {
      const [lock] = draft.locks as [string];
      expect(await engine.queue(lock)).toMatchObject([{ id: draft.id, fencingToken: settled.fencingToken, alive: true }]);
    }
    expect(new Set(taken.map(({ settled }) => settled.fencingToken)).size).toBe(taken.length);
  });

  test("that is restarted has its waiters and watchers hear of what comes after", async () => {
    const own = await startOwn();
    const openThere = () => open({ sessionTimeoutMs: 30_000 }, "postgres", own);
    const [one, other] = [await openThere(), await openThere()];
    const { draft, settled } = await takeDurably(one, "a");
    const waiting = await other.join(draftFor("a"));
    const departed = other.departed(waiting, "a", [settled.entries[0]!.ref]);
    let told = 0;
    const watch = await other.watch(() => void (told += 1));
    onTestFinished(() => watch.close());
    await own.process.restart();
    await until(() => told > 0, "the watcher to hear that something may have been missed");
    expect(await one.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await within(departed, "the waiter's turn")).toEqual([settled.entries[0]!.ref]);
    told = 0;
    await one.writeDocument("nodes/x", "{}", 0);
    await watch.caughtUp();
    expect(told).toBeGreaterThan(0);
  });

  test("that freezes is given up in time, and is used again when it goes on", async () => {
    const engine = await open({ connectTimeoutMs: 1_000 });
    await takeDurably(engine, "a");
    const watch = await engine.watch(() => undefined);
    onTestFinished(() => watch.close());
    await server.process.freeze();
    onTestFinished(() => server.process.thaw());
    await expect(within(engine.queue("a"), "the answer")).rejects.toBeInstanceOf(UnreachableError);
    server.process.thaw();
    await until(async () => (await idsIn(engine, "a")).length === 1, "an answer");
    await watch.caughtUp();
  });

  test("whose operator ends every connection is connected to again", async () => {
    const engine = await open();
    const { draft, settled } = await takeDurably(engine, "a");
    for (let times = 0; times < 3; times += 1) {
      await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdline'");
      expect(await idsIn(engine, "a")).toEqual([draft.id]);
    }
    expect(await engine.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  });

  test("that has no connection left says so", async () => {
    await server.query("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE postgres TO plain");
    const held: pg.Client[] = [];
    const full = async (): Promise<boolean> => {
      try {
        held.push(await connectPlainly("plain"));
        return false;
      } catch {
        return true;
      }
    };
    await until(full, "all connections to be taken");
    const problem: unknown = await open({ connectTimeoutMs: 500 }, "plain").catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(UnreachableError);
    expect((problem as Error).message).toMatch(/remaining connection slots|too many clients/);
  });

  test("on which somebody keeps the counter locked says who might, and goes on after", async () => {
    const engine = await open({ sessionTimeoutMs: 30_000, connectTimeoutMs: 7_000 });
    await takeDurably(engine, "a");
    const client = await connectPlainly();
    await client.query(`BEGIN; UPDATE ${schema}.counter SET revision = revision`);
    // Looking is not hindered.
    expect(await idsIn(engine, "a")).toHaveLength(1);
    const problem: unknown = await engine.join(draftFor("b")).catch((error: unknown) => error);
    expect((problem as Error).message).toContain("another transaction has kept a row of the root locked for 5 s");
    await client.query("ROLLBACK");
    await takeDurably(engine, "c");
  });

  test("whose commit arrives after the session has been fenced, or has ended, does nothing", async () => {
    const store = await openPostgresStore(server.url(schema), TEST_OPTIONS);
    onTestFinished(() => store.close());
    const id = await store.openSession(60_000);
    const append = (lock: string, epoch: number) =>
      store.commit([{ do: "append", lock, claim: lock, session: { id, epoch }, key: null, slots: 1, record: "{}" }]);
    const client = await connectPlainly();
    // The commit is on its way: it waits for the counter, and the session is fenced meanwhile.
    await client.query(`BEGIN; UPDATE ${schema}.counter SET revision = revision`);
    const late = append("a", 0);
    const fence = await openPostgresStore(server.url(schema), TEST_OPTIONS);
    onTestFinished(() => fence.close());
    const waits = async (): Promise<boolean> =>
      (await server.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%commit(%'")).length === 1;
    await until(waits, "the commit to wait");
    expect(await fence.renew({ id, epoch: 1 })).toBe(true);
    await client.query("COMMIT");
    expect(await late).toEqual({ isDone: false, step: 0, why: "no-session" });
    expect(await append("a", 1)).toMatchObject({ isDone: true });
    // Its time is up, and somebody has seen that.
    await server.query(`UPDATE ${schema}.sessions SET expires_at = 0`);
    expect(await fence.endedSessions()).toEqual([id]);
    // Not even a clock that goes back brings it to life.
    await server.query(`UPDATE ${schema}.sessions SET expires_at = 9e15`);
    expect(await store.renew({ id, epoch: 1 })).toBe(false);
    expect(await append("b", 1)).toEqual({ isDone: false, step: 0, why: "no-session" });
    expect((await store.read("a"))[0]).toMatchObject({ isSessionAlive: false });
  });
});
