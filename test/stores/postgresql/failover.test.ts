// A primary and its standby: which of them is used, and what a promotion keeps, may lose, and never does. Each test has servers of its own.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import type { CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { UnreachableError } from "../../../src/locks/errors.js";
import type { QueueEngine } from "../../../src/queue/engine.js";
import { openPostgres } from "../../../src/stores/postgresql/index.js";
import { failOnLeaks } from "../../support/leaks.js";
import { type PostgresServer, startPostgres } from "../../support/servers/postgresql.js";
import { until, within } from "../../support/wait.js";
import { draftFor, idsIn, RELEASED, takeDurably, TEST_OPTIONS } from "../../coordinators/conformance/store.js";

failOnLeaks();

interface Pair {
  readonly primary: PostgresServer;
  readonly standby: PostgresServer;
  open(options?: Partial<CoordinatorOptions>): Promise<QueueEngine>;
}

async function startPair(settings: readonly string[] = []): Promise<Pair> {
  const primary = await startPostgres({ isInMemory: true, settings: ["wal_level = replica", ...settings] });
  onTestFinished(() => primary.close());
  const standby = await startPostgres({ isInMemory: true, primary, settings: ["synchronous_standby_names = ''"] });
  onTestFinished(() => standby.close());
  const address = `${standby.host}:${standby.port},${primary.host}:${primary.port}`;
  return {
    primary,
    standby,
    open: async (options) => {
      const engine = await openPostgres(primary.url("holdline", { address }), { ...TEST_OPTIONS, ...options });
      onTestFinished(() => engine.close());
      return engine;
    },
  };
}

const SYNCHRONOUS = "synchronous_standby_names = 'standby'";

/** The primary dies, and the standby takes its place. */
async function failOver({ primary, standby }: Pair): Promise<void> {
  await primary.process.kill();
  await standby.promote();
}

describe.skipIf(inject("postgresql").missing !== null)("PostgreSQL with a standby", () => {
  test("is used at its primary, and a promotion keeps what was confirmed", async () => {
    const pair = await startPair([SYNCHRONOUS]);
    const engine = await pair.open();
    expect(engine.traits.durability).toBe("quorum");
    expect((await engine.examine()).facts).toMatchObject({
      primary: `${pair.primary.host}:${pair.primary.port}`,
      servers: `${pair.standby.host}:${pair.standby.port}, ${pair.primary.host}:${pair.primary.port}`,
      kept: "a synchronous standby has what is confirmed",
    });
    const { draft, settled } = await takeDurably(engine, "a");
    const waiting = await engine.join(draftFor("a"));
    await failOver(pair);
    const [claim] = await within(engine.queue("a"), "an answer from the new primary");
    expect(claim).toMatchObject({ id: draft.id, alive: true, fencingToken: settled.fencingToken });
    // Its owner has its session still, and its place in line.
    expect(await engine.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect((await engine.position(waiting.positions[0]!)).ahead).toEqual([]);
    expect(waiting.session.lost.aborted).toBe(false);
    const next = await takeDurably(engine, "b");
    expect(next.settled.fencingToken).toBeGreaterThan(settled.fencingToken);
    expect((await engine.examine()).facts).toMatchObject({ primary: `${pair.standby.host}:${pair.standby.port}` });
  });

  test("confirms nothing that its synchronous standby has not", async () => {
    const pair = await startPair([SYNCHRONOUS]);
    const engine = await pair.open({ connectTimeoutMs: 1_500 });
    await takeDurably(engine, "a");
    await pair.standby.process.freeze();
    // The session cannot be confirmed either, and so nothing is held in it any more.
    await expect(takeDurably(engine, "b")).rejects.toThrow();
    await failOver({ ...pair, standby: await thawed(pair.standby) });
    await until(async () => (await engine.queue("a")).length === 1, "the new primary to answer");
  });

  test("loses the last of what was confirmed where it does not wait for the standby, and issues no token twice", async () => {
    const pair = await startPair();
    const engine = await pair.open({ sessionTimeoutMs: 15_000 });
    expect(engine.traits.durability).toBe("disk");
    const kept = await takeDurably(engine, "a");
    await until(() => hasReplayed(pair), "the standby to have it");
    await pair.standby.process.stop();
    const lost = await takeDurably(engine, "b");
    const draft = draftFor("c", { settles: false });
    const held = await engine.join(draft);
    await engine.confirm(held);
    await pair.primary.process.kill();
    await pair.standby.process.restart();
    await pair.standby.promote();

    const other = await pair.open();
    expect(await idsIn(other, "a")).toEqual([kept.draft.id]);
    expect(await other.queue("b")).toEqual([]);
    const next = await takeDurably(other, "b");
    expect(next.settled.fencingToken).toBeGreaterThan(lost.settled.fencingToken);
    // A holder whose place was lost hears of it, although its session was there and it has seen later commits since.
    await engine.writeDocument("x", "{}", 0);
    await until(() => held.session.lost.aborted, "the session of the lost place to be over");
    expect(held.session.lost.reason).toMatchObject({ message: "the store has ended the session" });
    const again = await engine.join(draftFor("c"));
    expect(again.session.id).not.toBe(held.session.id);
    await engine.confirm(again);
  });

  test("is not used at a former primary that has come back by itself", async () => {
    const pair = await startPair([]);
    const engine = await pair.open({ connectTimeoutMs: 3_000 });
    await takeDurably(engine, "a");
    await until(() => hasReplayed(pair), "the standby to have it");
    await failOver(pair);
    await until(async () => (await engine.queue("a")).length === 1, "the new primary to answer");
    await pair.primary.process.restart();
    await pair.standby.process.kill();
    const problem: unknown = await engine.queue("a").catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(UnreachableError);
    expect((problem as UnreachableError).message).toContain(
      `the server ${pair.primary.host}:${pair.primary.port} is a former primary: another one has been promoted since`,
    );
  });

  test("is nothing but a standby: the wait for a primary ends in time", async () => {
    const pair = await startPair();
    const url = pair.primary.url("holdline", { address: `${pair.standby.host}:${pair.standby.port}` });
    const opening = openPostgres(url, { ...TEST_OPTIONS, connectTimeoutMs: 500 });
    await expect(opening).rejects.toThrow(`the server ${pair.standby.host}:${pair.standby.port} is a standby`);
  });
});

async function thawed(server: PostgresServer): Promise<PostgresServer> {
  server.process.thaw();
  return server;
}

async function hasReplayed({ primary, standby }: Pair): Promise<boolean> {
  const [sent] = await primary.query("SELECT pg_current_wal_lsn()::text AS lsn");
  const [there] = await standby.query(`SELECT pg_last_wal_replay_lsn() >= '${String(sent?.["lsn"])}' AS has`);
  return there?.["has"] === true;
}
