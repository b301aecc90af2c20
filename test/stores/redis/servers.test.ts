// Redis servers that start anew, are full, drop keys, are replicas, or belong to a cluster; and roots that are somebody else's.
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { draftFor, recordFor, RELEASED } from "../../../src/conformance/drafts.js";
import { ReplyLostError } from "../../../src/queue/store.js";
import { freePorts } from "../../support/ports.js";
import { failOnLeaks } from "../../support/leaks.js";
import { type RedisServer, startRedisServer } from "../../support/servers/redis.js";
import { until } from "../../support/wait.js";
import { appendOf, open, openStore, redisProblem, urlOn } from "./places.js";

failOnLeaks();

// Short enough to be waited for.
const SHORT = { sessionTimeoutMs: 600, connectTimeoutMs: 5_000 };

/** A server that ends with the test. */
async function startOwn(...settings: readonly string[]): Promise<RedisServer> {
  const server = await startRedisServer({ settings });
  onTestFinished(() => server.close());
  return server;
}

describe.skipIf(redisProblem() !== null)("a server of a test's own", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server.close());

  describe("that starts anew", () => {
    test("has nobody's turn come while a holder may be among what it has lost, and gives no token twice", async () => {
      const mortal = await startOwn();
      const url = urlOn(mortal.port);
      const [store, other] = [openStore(url, SHORT), openStore(url, SHORT)];
      const session = await store.openSession(SHORT.sessionTimeoutMs);
      const joined = await store.commit([appendOf(session)]);
      await mortal.kill();
      await expect(store.renew({ id: session, epoch: 0 })).rejects.toThrow(ReplyLostError);
      await mortal.restart();
      expect(await store.renew({ id: session, epoch: 0 })).toBe(false);
      for (const one of [store, other]) {
        const next = await one.openSession(SHORT.sessionTimeoutMs);
        await expect(one.commit([appendOf(next)])).rejects.toThrow("nobody's turn comes");
        await expect(one.line("a")).rejects.toThrow("may have lost claims");
      }
      const later = await store.openSession(60_000);
      const again = await until(() => store.commit([appendOf(later)]).catch(() => null), "the time to be over");
      expect(again).toMatchObject({ isDone: true });
      expect((again as { revision: number }).revision).toBeGreaterThan((joined as { revision: number }).revision);
    });

    test("keeps with appendonly what it has acknowledged, and an engine comes through", async () => {
      const lasting = await startOwn("appendonly yes", "appendfsync always");
      const engine = await open(urlOn(lasting.port, ""), SHORT);
      expect(engine.traits.durability).toBe("disk");
      const draft = draftFor("a", { settles: true });
      const settled = await engine.settle(draft, await engine.join(draft), recordFor(draft));
      await lasting.kill();
      await lasting.restart();
      const [claim] = await engine.queue("a");
      expect(claim).toMatchObject({ id: draft.id, fencingToken: settled.fencingToken });
      const next = draftFor("b");
      const joined = await engine.join(next);
      await engine.confirm(joined);
      await engine.withdraw(joined.positions);
      expect(await engine.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    });

    test("is waited for by those who watch, and they are told that they may have missed something", async () => {
      const mortal = await startOwn();
      const store = openStore(urlOn(mortal.port), SHORT);
      const told: unknown[] = [];
      const feed = await store.watch(null, (change) => told.push(change));
      told.length = 0;
      await mortal.kill();
      await mortal.restart();
      await until(() => Promise.resolve(told.includes(null)), "the watch to be back");
      const session = await store.openSession(60_000);
      await until(() => store.commit([appendOf(session)]).catch(() => null), "the time to be over");
      await feed.caughtUp();
      expect(told).toContainEqual(expect.objectContaining({ lock: "a" }));
      feed.close();
    });
  });

  test("that is frozen is not reached, and is used again when it goes on", async () => {
    const engine = await open(urlOn(server.port), { sessionTimeoutMs: 900, connectTimeoutMs: 1_500 });
    await server.freeze();
    try {
      await expect(engine.list()).rejects.toMatchObject({ code: "unreachable" });
    } finally {
      server.thaw();
    }
    expect(await engine.list()).toEqual([]);
  });

  test("whose script cache was emptied does everything once", async () => {
    const store = openStore(urlOn(server.port));
    const session = await store.openSession(60_000);
    await server.ask("SCRIPT", "FLUSH");
    expect(await store.commit([appendOf(session)])).toMatchObject({ isDone: true });
    expect((await store.line("a")).places).toHaveLength(1);
  });

  test("whose memory is full takes no new claim and no history, and lets claims be held and go", async () => {
    const engine = await open(urlOn(server.port));
    const held = draftFor("a", { settles: true });
    const settled = await engine.settle(held, await engine.join(held), recordFor(held));
    await server.ask("CONFIG", "SET", "maxmemory", "1mb");
    try {
      await expect(engine.join(draftFor("b"))).rejects.toMatchObject({
        code: "not-allowed",
        message: expect.stringContaining("its memory is full (maxmemory)") as string,
      });
      expect(await engine.writeDocument("d", null, 7)).toBe("changed");
      const updated = await engine.update(held.id, settled, { ...recordFor(held), reason: "noted" });
      expect(updated).toMatchObject({ fencingToken: settled.fencingToken });
      expect(await engine.queue("a")).toMatchObject([{ id: held.id, reason: "noted" }]);
      expect(await engine.leave(held.id, (updated as typeof settled).entries, RELEASED)).toBe("done");
      expect(await engine.history(null, 5)).toEqual([]);
      expect(await engine.list()).toEqual([]);
    } finally {
      await server.ask("CONFIG", "SET", "maxmemory", "0");
    }
  });

  test.each(["allkeys-lru", "allkeys-random"])("that may drop any key (%s) is refused", async (policy) => {
    await server.ask("CONFIG", "SET", "maxmemory-policy", policy);
    try {
      await expect(open(urlOn(server.port))).rejects.toMatchObject({
        code: "configuration",
        message: expect.stringContaining(`maxmemory-policy ${policy}`) as string,
        hint: expect.stringContaining("noeviction") as string,
      });
    } finally {
      await server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction");
    }
  });

  test("that drops keys with a time to live is fine: the store has none", async () => {
    const url = urlOn(server.port);
    await server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru");
    try {
      const engine = await open(url);
      await engine.join(draftFor("a"));
      const prefix = new URL(url).searchParams.get("prefix");
      const keys = (await server.ask("KEYS", `{${prefix}}:*`)).match(/\{[^\r]*/g) as string[];
      expect(keys.length).toBeGreaterThan(5);
      for (const key of keys) expect(await server.ask("PTTL", key), key).toContain(":-1");
    } finally {
      await server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction");
    }
  });

  describe("that may lose what it has acknowledged", () => {
    test("has no claim become durable, unless the URL says that this may be", async () => {
      const engine = await open(urlOn(server.port, ""));
      expect(engine.traits.durability).toBe("may-lose");
      const draft = draftFor("a", { settles: true });
      const joined = await engine.join(draft);
      await expect(engine.settle(draft, joined, recordFor(draft))).rejects.toMatchObject({
        code: "configuration",
        hint: expect.stringContaining("?durability=may-lose") as string,
      });
      await engine.confirm(joined);
      const report = await engine.examine();
      expect(report.facts).toMatchObject({ kind: "redis", durability: "may-lose", log: "none", rights: "all that runs need" });
      expect(report.findings).toMatchObject([{ severity: "error", code: "configuration" }]);
    });

    test("says so where it may", async () => {
      const report = await (await open(urlOn(server.port))).examine();
      expect(report.findings).toMatchObject([{ severity: "warning", message: expect.stringContaining("may lose") as string }]);
    });
  });

  describe("with a key where the root's would be", () => {
    const prefixOf = (url: string) => new URL(url).searchParams.get("prefix") as string;

    test.each([
      ["of another type", (key: string) => ["SET", key, "x"]],
      ["of another program", (key: string) => ["HSET", key, "a", "b"]],
    ])("%s: it is refused", async (_, commandFor) => {
      const url = urlOn(server.port);
      await server.ask(...commandFor(`{${prefixOf(url)}}:meta`));
      await expect(open(url)).rejects.toMatchObject({
        code: "configuration",
        message: expect.stringContaining("another program's") as string,
        hint: expect.stringContaining("?prefix=") as string,
      });
    });

    test("of another layout: it is refused", async () => {
      const url = urlOn(server.port);
      await open(url);
      await server.ask("HSET", `{${prefixOf(url)}}:meta`, "layout", "9");
      await expect(open(url)).rejects.toMatchObject({
        code: "configuration",
        message: expect.stringContaining("layout 9") as string,
      });
    });

    test("two roots know nothing of each other", async () => {
      const [one, other] = [await open(urlOn(server.port)), await open(urlOn(server.port))];
      await one.join(draftFor("a"));
      expect([await one.list(), await other.list()]).toEqual([["a"], []]);
    });

    test("whoever only looks makes nothing", async () => {
      const url = urlOn(server.port);
      const engine = await open(url, { isAsFound: true });
      expect([await engine.list(), await engine.history(null, 1), await engine.queue("a")]).toEqual([[], [], []]);
      expect(await server.ask("EXISTS", `{${prefixOf(url)}}:meta`)).toContain(":0");
    });
  });

  test("takes names and data at their limits", async () => {
    const engine = await open(urlOn(server.port));
    const names = ["ü".repeat(127), "a:b{c}\u0001 d", "x".repeat(255)];
    const draft = draftFor(names[0] as string, { locks: names, settles: true, data: { text: "ü\u0000".repeat(100_000) } });
    const settled = await engine.settle(draft, await engine.join(draft), recordFor(draft));
    expect(await engine.list()).toEqual(names.toSorted());
    expect((await engine.find(draft.id))[0]?.data).toEqual(draft.data);
    expect(await engine.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  });

  test("finds an entry among more than a script can unpack", async () => {
    const store = openStore(urlOn(server.port));
    const session = await store.openSession(60_000);
    await store.commit([appendOf(session)]);
    const [place] = (await store.line("a")).places;
    const ref = place?.ref ?? "";
    const others = Array.from({ length: 10_000 }, (_, index) => String(index + 1));
    expect((await store.line("a", [...others, ref])).places).toMatchObject([{ ref }]);
  });

  test("a replica is passed over, and the primary among several hosts found", async () => {
    const replica = await startOwn(`replicaof 127.0.0.1 ${server.port}`);
    await expect(open(urlOn(replica.port), { connectTimeoutMs: 3_000 })).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining(`is a replica of 127.0.0.1:${server.port}`) as string,
    });
    const url = urlOn(server.port, "").replace("127.0.0.1:", `127.0.0.1:${replica.port},127.0.0.1:`);
    await until(async () => (await server.ask("INFO", "replication")).includes("state=online"), "the replica to be there");
    const engine = await open(url);
    expect(engine.traits.durability).toBe("quorum");
    const draft = draftFor("a", { settles: true });
    await engine.settle(draft, await engine.join(draft), recordFor(draft));
  });

  test("of a cluster leads to the one that has the root's keys", async () => {
    const [busA, busB] = (await freePorts(2)) as [number, number];
    const settingsOf = (bus: number) => ["cluster-enabled yes", `cluster-port ${bus}`, "cluster-require-full-coverage no"];
    const [empty, full] = await Promise.all([startOwn(...settingsOf(busA)), startOwn(...settingsOf(busB))]);
    await full.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    await empty.ask("CLUSTER", "MEET", "127.0.0.1", String(full.port), String(busB));
    await until(async () => (await empty.ask("CLUSTER", "INFO")).includes("cluster_slots_assigned:16384"), "the cluster to be one");
    const engine = await open(urlOn(empty.port));
    await engine.join(draftFor("a"));
    expect(await engine.list()).toEqual(["a"]);
    expect(await full.ask("DBSIZE")).not.toContain(":0\r\n");
  });
});
