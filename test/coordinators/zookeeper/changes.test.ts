// Watching a whole root on ZooKeeper: all watchers share one watch, the last one takes it back, and an older server gets clear words.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { openTamperer } from "../../support/tamperer.js";
import { until } from "../../support/wait.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { fourLetter } from "../../support/zookeeper-server.js";
import { draftFor, RELEASED, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

async function open(address: string, root: string): Promise<Coordinator> {
  const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, TEST_OPTIONS);
  onTestFinished(() => coordinator.close());
  return coordinator;
}

async function direct(root: string): Promise<Coordinator> {
  const { host, port } = inject("zookeeper");
  return open(`${host}:${port}`, root);
}

describe("watching a whole root", () => {
  test("asks the server once for all watchers, and takes that back when the last one closes", async () => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const root = freshRoot();
    const coordinator = await open(proxy.address, root);
    const watches = await Promise.all([0, 1, 2].map(() => coordinator.watch(() => undefined)));
    const asked = proxy.count(Opcode.addWatch);
    expect(asked).toBeGreaterThan(0);
    watches.push(await coordinator.watch(() => undefined));
    expect(proxy.count(Opcode.addWatch)).toBe(asked);
    expect(await fourLetter(inject("zookeeper"), "wchp")).toContain(`${root}/locks`);
    for (const watch of watches.slice(1)) watch.close();
    await coordinator.list();
    expect(proxy.count(Opcode.removeWatches)).toBe(0);
    watches[0]?.close();
    await coordinator.list();
    expect(proxy.count(Opcode.removeWatches)).toBe(asked);
    expect(await fourLetter(inject("zookeeper"), "wchp")).not.toContain(root);
    // After a lost connection a watch that nobody wants is not set again.
    await proxy.cut();
    await coordinator.list();
    expect(proxy.count(Opcode.addWatch)).toBe(asked);
  });

  test("writes nothing, so that looking leaves no trace", async () => {
    const root = freshRoot();
    const coordinator = await direct(root);
    const watch = await coordinator.watch(() => undefined);
    expect(await coordinator.list()).toEqual([]);
    watch.close();
    const client = await openPlainClient(inject("zookeeper"));
    expect(await client.exists(root)).toBe(false);
    await client.close();
  });

  test("does not report that someone has read the clock", async () => {
    const root = freshRoot();
    const [coordinator, other] = [await direct(root), await direct(root)];
    await other.sync();
    let calls = 0;
    await coordinator.watch(() => (calls += 1));
    for (let look = 0; look < 10; look += 1) await other.sync();
    await coordinator.sync();
    // Events arrive before the answers to later requests.
    await coordinator.list();
    expect(calls).toBe(0);
    await other.join(draftFor("a"));
    await until(() => calls > 0, "to be told of a claim");
  });

  test("does not change what wakes those who wait for a departure", async () => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const root = freshRoot();
    const [coordinator, other] = [await open(proxy.address, root), await direct(root)];
    await coordinator.watch(() => undefined);
    const { draft, settled } = await takeDurably(other, "a");
    const mine = await coordinator.join(draftFor("a"));
    const ahead = mine.positions[0]!.ahead.map(({ ref }) => ref);
    const departed = coordinator.departed(mine, "a", ahead);
    await coordinator.list();
    const asked = proxy.count(Opcode.exists);
    for (let index = 0; index < 5; index += 1) await other.join(draftFor("a"));
    await coordinator.list();
    expect(proxy.count(Opcode.exists)).toBe(asked);
    await other.leave(draft.id, settled.entries, RELEASED);
    expect(await departed).toEqual(ahead);
  });

  test("fails with clear words on a server older than 3.6, which hangs up as well", async () => {
    const { address, breakNextReply } = await openTamperer();
    const coordinator = await open(address, freshRoot());
    await coordinator.list();
    breakNextReply((reply) => {
      reply.writeInt32BE(-6, 16); // Unimplemented.
      return { send: reply.subarray(0, 20), cut: true, resize: true };
    });
    const watching = coordinator.watch(() => undefined);
    await expect(watching).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringMatching(/older than 3\.6/) as unknown,
    });
    // Everything else goes on.
    const { draft } = await takeDurably(coordinator, "a");
    expect((await coordinator.find(draft.id)).map(({ lock }) => lock)).toEqual(["a"]);
  });
});
