// Servers that are killed, frozen, read-only or no copies of each other, in the middle of what a run asks of them.
import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { draftFor, recordFor, settledOf, TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import type { QueueEngine } from "../../../src/queue/engine.js";
import { openMysql, openMysqlStore } from "../../../src/stores/mysql/index.js";
import { failOnLeaks } from "../../support/leaks.js";
import { DATABASE, type MariaDb, startMariaDb } from "../../support/servers/mariadb.js";
import { freshPrefix, mariadbProblem, untilWaiting } from "./places.js";

failOnLeaks();

const init = ["CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY 'w';", `GRANT ALL ON ${DATABASE}.* TO plain@'%';`];

describe.skipIf(mariadbProblem() !== null)("outages of MariaDB", () => {
  let one: MariaDb;
  let other: MariaDb;
  beforeAll(async () => {
    one = await startMariaDb({ init });
    other = await startMariaDb({ init });
  });
  afterAll(async () => {
    for (const server of [one, other]) await server.close();
  });

  const urlTo = (prefix: string, ...servers: readonly MariaDb[]): string =>
    `mariadb://plain:w@${servers.map(({ host, port }) => `${host}:${port}`).join(",")}/${DATABASE}?prefix=${prefix}`;

  /** Makes tables on both servers as if the other were a copy of the one. */
  const makeCopies = async (prefix: string): Promise<void> => {
    for (const server of [one, other]) await (await openMysqlStore(urlTo(prefix, server), TEST_OPTIONS)).close();
    for (const server of [one, other]) await server.sql(`UPDATE ${prefix}root SET store = 'the same'`);
  };

  /** Kills the server once a commit is in it, and starts it again. */
  const killUnder = async <T>(server: MariaDb, prefix: string, begin: () => Promise<T>): Promise<T> => {
    const letGo = await keepRoot(server, prefix);
    const work = begin();
    await untilWaiting(server, prefix);
    await server.process.kill();
    letGo();
    await server.process.restart();
    return work;
  };

  /** Keeps every commit waiting in the server. */
  const keepRoot = async ({ host, port }: MariaDb, prefix: string): Promise<() => void> => {
    const connection = await createConnection({ host, port, user: "plain", password: "w", database: DATABASE });
    connection.on("error", () => undefined);
    await connection.query("START TRANSACTION");
    await connection.query(`SELECT * FROM ${prefix}root FOR UPDATE`);
    return () => connection.destroy();
  };

  test("a server that is killed and started again in the middle of each operation loses none, and does none twice", async () => {
    const prefix = freshPrefix();
    const server = await startMariaDb({ init });
    const patience = { sessionTimeoutMs: 30_000, connectTimeoutMs: 30_000 };
    const coordinator = await openMysql(urlTo(prefix, server), { ...TEST_OPTIONS, ...patience });
    const draft = draftFor(["a", "b"]);
    const joined = await killUnder(server, prefix, () => coordinator.join(draft));
    const settled = await killUnder(server, prefix, () => coordinator.settle(draft, joined, recordFor(draft)));
    const updated = settledOf(
      await killUnder(server, prefix, () => coordinator.update(draft.id, settled, recordFor(draft, { reason: "later" }))),
    );
    expect((await coordinator.queue("a")).map(({ id, reason }) => [id, reason])).toEqual([[draft.id, "later"]]);
    const ending = { event: "released", by: "ops", reason: null } as const;
    expect(await killUnder(server, prefix, () => coordinator.leave(draft.id, updated.entries, ending))).toBe("done");
    expect(await coordinator.list()).toEqual([]);
    expect((await coordinator.history(null, 10)).map(({ lock }) => lock).sort()).toEqual(["a", "b"]);
    await coordinator.close();
    await server.close();
  });

  test("a server that is frozen for a while keeps session and claim; frozen for longer, the copy beside it is asked", async () => {
    const prefix = freshPrefix();
    await makeCopies(prefix);
    const coordinator = await openMysql(urlTo(prefix, one, other), TEST_OPTIONS);
    const joined = await coordinator.join(draftFor("lock"));
    await one.process.freeze();
    const asked = coordinator.queue("lock");
    one.process.thaw();
    expect((await asked).length).toBe(1);
    expect((joined.session as { lost: AbortSignal }).lost.aborted).toBe(false);
    await one.process.freeze();
    // The copy has none of it: it only shows who has answered.
    expect(await coordinator.queue("lock")).toEqual([]);
    one.process.thaw();
    await coordinator.close();
  });

  test("a read-only server is passed over, when it is opened and when it becomes so", async () => {
    const prefix = freshPrefix();
    await makeCopies(prefix);
    const serverOf = async (coordinator: QueueEngine): Promise<unknown> => (await coordinator.examine()).facts["server"];
    const coordinator = await openMysql(urlTo(prefix, one, other), TEST_OPTIONS);
    expect(await serverOf(coordinator)).toBe(`${one.host}:${one.port}`);
    await one.sql("SET GLOBAL read_only = ON");
    await coordinator.writeDocument("d", "x", 0);
    expect(await serverOf(coordinator)).toBe(`${other.host}:${other.port}`);
    expect(await other.sql(`SELECT name FROM ${prefix}documents`)).toHaveLength(1);
    await coordinator.close();
    const late = await openMysql(urlTo(prefix, one, other), TEST_OPTIONS);
    expect((await late.document("d"))?.value).toBe("x");
    await late.close();
    await expect(openMysql(urlTo(prefix, one), { ...TEST_OPTIONS, connectTimeoutMs: 300 })).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining(`${one.host}:${one.port} is read-only`) as string,
    });
    await one.sql("SET GLOBAL read_only = OFF");
  });

  test("a server that lacks what another has confirmed is told of, and one that is no copy at all is refused", async () => {
    const prefix = freshPrefix();
    await makeCopies(prefix);
    const warnings: object[] = [];
    const log = { ...TEST_OPTIONS.log, warn: (details: object) => warnings.push(details) };
    const store = await openMysqlStore(urlTo(prefix, one, other), { ...TEST_OPTIONS, log });
    await store.commit([{ do: "document", name: "d", value: "x", revision: 0 }]);
    store.reconnect("the next one is asked");
    expect(await store.document("d")).toBeNull();
    expect(warnings).toEqual([{ server: `${other.host}:${other.port}`, known: 1, there: 0 }]);
    for (const server of [one, other]) await server.sql(`UPDATE ${prefix}root SET store = 'another'`);
    store.reconnect("the next one is asked");
    await expect(store.document("d")).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringMatching(/the server \S+ has other tables/) as string,
    });
    await store.close();
  });
});
