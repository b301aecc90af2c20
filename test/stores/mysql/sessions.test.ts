// What ends and what comes too late: sessions by the server's clock, clocks that are set back, and requests of clients that were frozen.
import { describe, expect, test } from "vitest";
import type { SessionRef, Step } from "../../../src/queue/store.js";
import { KEPT_CHANGES } from "../../../src/stores/mysql/feed.js";
import { failOnLeaks } from "../../support/leaks.js";
import { until } from "../../support/wait.js";
import { adminOf, mariadbProblem, openAt, runServer, untilWaiting } from "./places.js";

failOnLeaks();

describe.skipIf(mariadbProblem() !== null)("sessions on MariaDB", () => {
  const append = (session: SessionRef, claim: string): Step => ({
    do: "append",
    lock: "lock",
    claim,
    session,
    key: null,
    slots: 1,
    record: "{}",
  });

  test("a session that was once called ended never lives again, although the clock is set back", async () => {
    const { store, prefix } = await openAt(runServer());
    const admin = await adminOf(runServer());
    const expire = (ms: number) => admin.query(`UPDATE ${prefix}sessions SET expires = expires + (${ms})`);
    for (const call of [
      async () => (await store.line("lock")).places.map(({ isSessionAlive }) => isSessionAlive),
      async () => (await store.read("lock")).map(({ isSessionAlive }) => isSessionAlive),
      async () => (await store.endedSessions()).map(() => false),
      async () => {
        const other = { id: await store.openSession(600_000), epoch: 0 };
        const done = await store.commit([append(other, "behind")]);
        await store.commit([{ do: "end", session: other.id, isEnded: false }]);
        return done.isDone ? done.appended[0]?.ahead.map(({ isSessionAlive }) => isSessionAlive) : null;
      },
    ]) {
      const session = { id: await store.openSession(60_000), epoch: 0 };
      expect(await store.commit([append(session, "first")])).toMatchObject({ isDone: true });
      await expire(-120_000);
      expect(await call()).toEqual([false]);
      await expire(600_000);
      expect(await store.renew({ ...session, epoch: 1 })).toBe(false);
      expect(await store.commit([{ do: "check", session }])).toMatchObject({ isDone: false, why: "no-session" });
      expect(await store.commit([{ do: "end", session: session.id, isEnded: true }])).toMatchObject({ isDone: true });
      expect(await store.locks()).toEqual([]);
    }
    await admin.end();
    await store.close();
  });

  test("a session that is renewed twice in one millisecond lives", async () => {
    const { store } = await openAt(runServer());
    const id = await store.openSession(60_000);
    const renewed = await Promise.all(Array.from({ length: 50 }, (_, epoch) => store.renew({ id, epoch })));
    expect(renewed).toEqual(Array.from({ length: 50 }, () => true));
    await store.close();
  });

  test("what a frozen client had sent in an earlier epoch has no effect when it arrives after a renewal", async () => {
    const { store: frozen, prefix } = await openAt(runServer());
    const { store: renewing } = await openAt(runServer(), prefix);
    const admin = await adminOf(runServer());
    const session = { id: await frozen.openSession(60_000), epoch: 0 };
    // Somebody keeps the root: the commit has arrived, and waits.
    await admin.query("START TRANSACTION");
    await admin.query(`SELECT * FROM ${prefix}root FOR UPDATE`);
    const late = frozen.commit([append(session, "late")]);
    await untilWaiting(runServer(), prefix);
    expect(await renewing.renew({ ...session, epoch: 1 })).toBe(true);
    await admin.query("COMMIT");
    expect(await late).toMatchObject({ isDone: false, why: "no-session" });
    expect(await renewing.locks()).toEqual([]);
    for (const one of [frozen, renewing]) await one.close();
    await admin.end();
  });

  test("a renewal waits for a commit that has found the session alive, and no commit comes after it", async () => {
    const { store, prefix } = await openAt(runServer());
    const { store: other } = await openAt(runServer(), prefix);
    const admin = await adminOf(runServer());
    const session = { id: await store.openSession(60_000), epoch: 0 };
    await admin.query(`INSERT INTO ${prefix}documents VALUES ('held', 'x', 1)`);
    // The commit has looked at its session, and waits for a row that somebody else has.
    await admin.query("START TRANSACTION");
    await admin.query(`UPDATE ${prefix}documents SET content = 'y'`);
    const commit = store.commit([append(session, "first"), { do: "document", name: "held", value: null, revision: 1 }]);
    await untilWaiting(runServer(), prefix);
    const renewed = other.renew({ ...session, epoch: 1 });
    await untilWaiting(runServer(), prefix, 2);
    await admin.query("COMMIT");
    expect(await commit).toMatchObject({ isDone: true });
    expect(await renewed).toBe(true);
    expect((await other.read("lock")).length).toBe(1);
    for (const one of [store, other]) await one.close();
    await admin.end();
  });

  test("a commit that is a deadlock's victim, or waits too long, is carried out once all the same", async () => {
    const { store, prefix } = await openAt(runServer());
    const admin = await adminOf(runServer());
    const session = { id: await store.openSession(60_000), epoch: 0 };
    // It has changed more than the commit, and so is the one that goes on.
    await admin.query("START TRANSACTION");
    const names = Array.from({ length: 20 }, (_, index) => `('x${index}', 'x', 1)`).join(", ");
    await admin.query(`INSERT INTO ${prefix}documents VALUES ${names}`);
    await admin.query(`UPDATE ${prefix}sessions SET epoch = epoch`);
    const commit = store.commit([append(session, "first")]);
    await untilWaiting(runServer(), prefix);
    await admin.query(`SELECT * FROM ${prefix}root FOR UPDATE`);
    const [[before]] = (await admin.query("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")) as unknown as [[{ Value: string }]];
    expect(Number(before.Value)).toBeGreaterThan(0);
    // And longer than any lock is waited for.
    const [[waits]] = (await admin.query("SHOW GLOBAL STATUS LIKE 'Handler_rollback'")) as unknown as [[{ Value: string }]];
    await until(async () => {
      const [[now]] = (await admin.query("SHOW GLOBAL STATUS LIKE 'Handler_rollback'")) as unknown as [[{ Value: string }]];
      return Number(now.Value) > Number(waits.Value);
    }, "the commit to have waited too long");
    await admin.query("COMMIT");
    expect(await commit).toMatchObject({ isDone: true, revision: 1 });
    expect((await store.read("lock")).map(({ claim }) => claim)).toEqual(["first"]);
    await admin.end();
    await store.close();
  });

  test("changes that are long past are forgotten, and a watcher who was away for so long is told that it may be anything", async () => {
    const { store, prefix } = await openAt(runServer());
    const admin = await adminOf(runServer());
    const changes: unknown[] = [];
    const feed = await store.watch(null, (change) => changes.push(change));
    await store.commit([{ do: "document", name: "d", value: "x", revision: 0 }]);
    await admin.query(`UPDATE ${prefix}root SET revision = revision + ${2 * KEPT_CHANGES + 2}`);
    changes.length = 0;
    await feed.caughtUp();
    expect(changes).toContain(null);
    const { store: later } = await openAt(runServer(), prefix);
    await later.openSession(60_000);
    expect(await admin.query(`SELECT * FROM ${prefix}changes`)).toMatchObject([[], {}]);
    feed.close();
    for (const one of [store, later]) await one.close();
    await admin.end();
  });

  test("without the root's row nothing is committed, whatever was committed before", async () => {
    const { store, prefix } = await openAt(runServer());
    const admin = await adminOf(runServer());
    const session = { id: await store.openSession(60_000), epoch: 0 };
    expect(await store.commit([append(session, "first")])).toMatchObject({ isDone: true });
    await admin.query(`DELETE FROM ${prefix}root`);
    for (const step of [append(session, "second"), { do: "withdraw", lock: "lock", ref: "1" }] as const)
      await expect(store.commit([step])).rejects.toThrow("cannot be null");
    expect((await store.read("lock")).map(({ claim }) => claim)).toEqual(["first"]);
    await admin.end();
    await store.close();
  });

  test("where the tables are full, a release that would be recorded is told that there is no room, and nothing is half done", async () => {
    const { store, prefix } = await openAt(runServer());
    const admin = await adminOf(runServer());
    const session = { id: await store.openSession(60_000), epoch: 0 };
    await admin.query(
      `CREATE TRIGGER ${prefix}full BEFORE INSERT ON ${prefix}archive FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114`,
    );
    const archive: Step = { do: "archive", lock: "lock", record: "{}", endedAt: null, room: 10 };
    expect(await store.commit([append(session, "first"), archive])).toEqual({ isDone: false, step: 1, why: "no-room" });
    expect(await store.locks()).toEqual([]);
    expect(await store.commit([append(session, "first")])).toMatchObject({ isDone: true });
    await admin.end();
    await store.close();
  });
});
