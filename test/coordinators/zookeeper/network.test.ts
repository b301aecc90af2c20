// Faults that node-zookeeper-client does not see or cannot bear, over a faulty network; several servers; and an ensemble that loses its
// leader.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator, CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshRoot } from "../../support/roots.js";
import { openTamperer } from "../../support/tamperer.js";
import { until, within } from "../../support/wait.js";
import { canStartServers, startEnsemble } from "../../support/zookeeper-server.js";
import { draftFor, idsIn, only, RELEASED, recordFor, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

async function open(addresses: string, root: string, options: Partial<CoordinatorOptions> = {}): Promise<Coordinator> {
  const coordinator = await openZooKeeper(`zookeeper://${addresses}${root}`, { ...TEST_OPTIONS, ...options });
  onTestFinished(() => coordinator.close());
  return coordinator;
}

/** Two proxies to the same server, each with its own faults, as if there were two servers. */
async function twoWays() {
  const server = inject("zookeeper");
  const proxies = [await openFaultProxy(server), await openFaultProxy(server)] as const;
  for (const proxy of proxies) onTestFinished(() => proxy.close());
  return { proxies, addresses: proxies.map(({ address }) => address).join(",") };
}

describe("a half-open connection", () => {
  test("is dropped when no reply comes, and the session goes on with another server", async () => {
    const { proxies, addresses } = await twoWays();
    const coordinator = await open(addresses, freshRoot());
    const joined = await coordinator.join(draftFor("a"));
    // The server in use goes silent without closing the connection.
    const used = proxies.findIndex((proxy) => proxy.connections > 0);
    proxies[used]?.freeze();
    const asked = within(coordinator.position(only(joined)), "an answer through the other server");
    expect((await asked).ref).toBe(only(joined).ref);
    expect(joined.session.lost.aborted).toBe(false);
  });

  test("does not keep a waiter behind it from waking", async () => {
    const { proxies, addresses } = await twoWays();
    const root = freshRoot();
    const holder = await open(`${inject("zookeeper").host}:${inject("zookeeper").port}`, root);
    const first = await holder.join(draftFor("a"));
    const coordinator = await open(addresses, root);
    const joined = await coordinator.join(draftFor("a"));
    const departed = coordinator.departed(joined, "a", [only(first).ref]);
    await until(() => proxies.some((proxy) => proxy.count(3) > 0), "the watch to be set");
    for (const proxy of proxies) if (proxy.connections > 0) proxy.freeze();
    await holder.withdraw(first.positions);
    expect(await within(departed, "the departure to be noticed")).toEqual([only(first).ref]);
  });
});

describe("a connection that is accepted and never answered", () => {
  test("is given up for the next server", async () => {
    const { proxies, addresses } = await twoWays();
    await proxies[0].welcome("ignore");
    for (let time = 0; time < 4; time += 1) {
      const coordinator = await within(openZooKeeper(`zookeeper://${addresses}${freshRoot()}`, TEST_OPTIONS), "a session");
      await coordinator.close();
    }
  });
});

describe("an answer that the client library cannot bear", () => {
  test("half a reply before the connection breaks does not garble the next connection", async () => {
    const { address, breakNextReply } = await openTamperer();
    const coordinator = await open(address, freshRoot());
    await coordinator.list();
    breakNextReply((reply) => ({ send: reply.subarray(0, 9), cut: true }));
    expect(await coordinator.list()).toEqual([]);
    expect((await coordinator.sync()).ms).toBeGreaterThan(0);
  });

  test("an error code that it does not know fails the request and not the process", async () => {
    const { address, breakNextReply } = await openTamperer();
    const coordinator = await open(address, freshRoot());
    const { draft, settled } = await takeDurably(coordinator, "a");
    breakNextReply((reply) => {
      reply.writeInt32BE(-199, 16); // Of a later server.
      return { send: reply.subarray(0, 20), cut: false, resize: true };
    });
    await expect(coordinator.list()).rejects.toThrow(/ZooKeeper error -199/);
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  });

  test("many answers in one packet are all read", async () => {
    const coordinator = await open(`${inject("zookeeper").host}:${inject("zookeeper").port}`, freshRoot());
    await coordinator.join(draftFor("a"));
    const answers = await Promise.all(Array.from({ length: 2_000 }, () => coordinator.queue("a")));
    expect(new Set(answers.map((queue) => queue.length))).toEqual(new Set([1]));
  });
});

describe("a conditional write", () => {
  test("fails on a claim that was changed since it was settled", async () => {
    const coordinator = await open(`${inject("zookeeper").host}:${inject("zookeeper").port}`, freshRoot());
    const { draft, settled } = await takeDurably(coordinator, "a");
    await coordinator.update(draft.id, settled, recordFor(draft, { reason: "changed since" }));
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("changed");
    expect(await idsIn(coordinator, "a")).toEqual([draft.id]);
  });
});

describe("an ensemble of three", () => {
  test("keeps sessions, places and held claims when it loses its leader", async ({ skip }) => {
    if (!(await canStartServers())) skip("an ensemble needs a local installation");
    const ensemble = await startEnsemble();
    onTestFinished(() => ensemble.close());
    const root = freshRoot();
    const options = { sessionTimeoutMs: 10_000, connectTimeoutMs: 20_000 };
    const [one, other] = [await open(ensemble.address, root, options), await open(ensemble.address, root, options)];
    const held = await takeDurably(one, "a");
    const waiting = await other.join(draftFor("a"));
    const departed = other.departed(waiting, "a", [(held.settled.entries[0] as { ref: string }).ref]);
    await (await ensemble.leader()).kill();
    expect(await within(one.leave(held.draft.id, held.settled.entries, RELEASED), "the release", 40_000)).toBe("done");
    expect(await within(departed, "the waiter's turn", 40_000)).toHaveLength(1);
    expect((await other.position(only(waiting))).ahead).toEqual([]);
    expect(waiting.session.lost.aborted).toBe(false);
  });
});
