// Sentinels that put a replica in the primary's place, on purpose when none has heard of what the primary has done: no token is given
// twice, nobody holds a lock beside another, and what counts as durable is there afterwards.
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { draftFor, recordFor, RELEASED } from "../../../src/conformance/drafts.js";
import type { Committed } from "../../../src/queue/store.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshRoot } from "../../support/roots.js";
import { findRedis, type RedisGroup, type RedisServer, startRedisGroup } from "../../support/servers/redis.js";
import { until } from "../../support/wait.js";
import { appendOf, open, openStore, redisProblem } from "./places.js";

failOnLeaks();

const SHORT = { sessionTimeoutMs: 2_000, connectTimeoutMs: 30_000 };
const DOWN_AFTER_MS = 500;

// Sentinels agree in a second or two, and a busy machine takes longer.
const DEADLINE_MS = 40_000;

type Done = Extract<Committed, { isDone: true }>;

describe.skipIf(redisProblem() !== null || findRedis("redis-sentinel") === null)("a primary with replicas and Sentinels", () => {
  let group: RedisGroup;
  let url: string;
  beforeEach(async () => {
    group = await startRedisGroup(DOWN_AFTER_MS);
    onTestFinished(() => group.close());
    const sentinels = group.sentinels.map(({ address }) => address).join(",");
    url = `redis+sentinel://${sentinels}/${group.name}?prefix=${freshRoot().slice(1)}`;
  });

  /** The one that is the primary, once so many replicas follow it. */
  const primaryWith = async (replicas: number, among: readonly RedisServer[]): Promise<RedisServer> => {
    const found = await until(
      async () => {
        const infos = await Promise.all(among.map((server) => server.ask("INFO", "replication")));
        const count = (info: string): number => info.match(/state=online/g)?.length ?? 0;
        return among[infos.findIndex((info) => info.includes("role:master") && count(info) >= replicas)] ?? null;
      },
      { what: `a primary with ${replicas} replicas`, deadlineMs: DEADLINE_MS },
    );
    return found;
  };

  test("a durable claim is there after the failover, and the next one has a greater token", async () => {
    const primary = await primaryWith(2, group.servers);
    await expect(open(url.replace("/group?", "/other?"))).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringContaining("knows no primary of this name") as string,
    });
    const engine = await open(url, SHORT);
    expect(engine.traits.durability).toBe("quorum");
    const draft = draftFor("a", { settles: true });
    const settled = await engine.settle(draft, await engine.join(draft), recordFor(draft));
    await primary.freeze();
    const rest = group.servers.filter((server) => server !== primary);
    const next = await primaryWith(1, rest);
    expect(await engine.queue("a")).toMatchObject([{ id: draft.id, fencingToken: settled.fencingToken }]);
    expect(await engine.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    const later = draftFor("a", { settles: true });
    const again = await engine.settle(later, await engine.join(later), recordFor(later));
    expect(again.fencingToken).toBeGreaterThan(settled.fencingToken);
    const report = await engine.examine();
    expect(report.facts).toMatchObject({ primary: next.address, durability: "quorum", replicasWaitedFor: 1 });
  });

  test("what no replica has is not confirmed; what a failover loses of it comes to nothing, and nobody has its place too early", async () => {
    const primary = await primaryWith(2, group.servers);
    const rest = group.servers.filter((server) => server !== primary);
    const [store, other] = [openStore(url, SHORT), openStore(url, SHORT)];
    const session = await store.openSession(SHORT.sessionTimeoutMs);
    const first = (await store.commit([appendOf(session, "a")])) as Done;
    // The replicas hear of nothing more, and still count.
    for (const replica of rest) await replica.freeze();
    await expect(store.commit([appendOf(session, "b")])).rejects.toThrow("0 of 1 replicas");
    // Another look would show it, and waits for the replicas as well.
    await expect(store.line("b")).rejects.toThrow("0 of 1 replicas");
    await expect(store.renew({ id: session, epoch: 0 })).rejects.toThrow("0 of 1 replicas");
    // What has come to them unread goes with them.
    for (const replica of rest) await replica.kill();
    await primary.freeze();
    for (const replica of rest) await replica.restart();
    await primaryWith(1, rest);
    // Whoever comes first has no turn while the former holder may believe that it lives.
    await until(() => other.sync().catch(() => null), { what: "the new primary to be found", deadlineMs: DEADLINE_MS });
    const later = await until(() => other.openSession(60_000).catch(() => null), "a session");
    await expect(other.commit([appendOf(later, "a")])).rejects.toThrow("nobody's turn comes");
    const committed = await until(() => other.commit([appendOf(later, "b")]).catch(() => null), "the time to be over");
    expect((committed as Done).revision).toBeGreaterThan(first.revision);
    expect((committed as Done).appended[0]?.ahead).toEqual([]);
    expect(await other.renew({ id: session, epoch: 1 })).toBe(false);
    // The former primary is not written to when it is back.
    primary.thaw();
    const line = await until(() => store.line("b").catch(() => null), {
      what: "the first to find the new primary",
      deadlineMs: DEADLINE_MS,
    });
    expect(line?.places.map(({ session: its }) => its)).toEqual([later]);
  });
});
