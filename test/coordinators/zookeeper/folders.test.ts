// The server or Holdline removes a lock's folder when it is empty, and a claim that joins meanwhile is not lost.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { type FaultProxy, mentions, openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient, type PlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { until } from "../../support/wait.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { type ServerAddress, startZooKeeper } from "../../support/zookeeper-server.js";
import { draftFor, idsIn, only, recordFor, RELEASED, settledOf, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

async function open(address: string, root: string): Promise<Coordinator> {
  const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, TEST_OPTIONS);
  onTestFinished(() => coordinator.close());
  return coordinator;
}

async function plain(server: ServerAddress): Promise<PlainClient> {
  const client = await openPlainClient(server);
  onTestFinished(() => client.close());
  return client;
}

async function proxied(server: ServerAddress): Promise<FaultProxy> {
  const proxy = await openFaultProxy(server);
  onTestFinished(() => proxy.close());
  return proxy;
}

/** The head of a step that makes a container: its type, not the last step, no error. */
const CONTAINER_STEP = Buffer.from([0, 0, 0, Opcode.createContainer, 0, 255, 255, 255, 255]);
const makesContainers = { operation: Opcode.multi, where: (frame: Buffer) => frame.includes(CONTAINER_STEP) };

const SERVERS = {
  "that removes them": async (proxy: FaultProxy): Promise<void> => void proxy,
  "that knows no containers": async (proxy: FaultProxy): Promise<void> => proxy.forgetHow(makesContainers),
};

async function leaveAll(coordinator: Coordinator, locks: readonly string[]): Promise<void> {
  const { draft, settled } = await takeDurably(coordinator, locks);
  expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
}

describe.each(Object.entries(SERVERS))("on a server %s", (_, prepare) => {
  test("folders vanish with those above them, others stay, and what is used again works with greater tokens", async () => {
    // This server looks for empty containers all the time; by default a server looks once a minute.
    const server = await startZooKeeper({ properties: { "znode.container.checkIntervalMs": "50" } });
    onTestFinished(() => server.close());
    const proxy = await proxied(server);
    await prepare(proxy);
    const [coordinator, client] = [await open(proxy.address, "/x"), await plain(server)];
    const kept = await coordinator.join(draftFor("restart"));
    const vanished = async (): Promise<boolean> =>
      JSON.stringify([await client.children("/x/locks"), await client.children("/x/locks/restart")]) ===
      JSON.stringify([["restart"], [only(kept).ref]]);
    const tokens: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { draft, settled } = await takeDurably(coordinator, ["ci/deep/er", "restart/nginx"]);
      const adopted = settledOf(await coordinator.adopt(draft.id, settled.entries, recordFor(draft)));
      tokens.push(settled.fencingToken, adopted.fencingToken);
      expect(await coordinator.leave(draft.id, adopted.entries, RELEASED)).toBe("done");
      const passing = await coordinator.join(draftFor("ci/deep/er", { settles: false }));
      tokens.push(passing.session.latestRevision());
      await coordinator.withdraw(passing.positions);
      await until(vanished, "the empty folders to vanish");
    }
    expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
    expect(await coordinator.list()).toEqual(["restart"]);
    await coordinator.withdraw(kept.positions);
    await until(async () => (await client.children("/x/locks")).length === 0, "the last folder to vanish");
    for (const folder of ["locks", "alive", "history"]) expect(await client.exists(`/x/${folder}`), folder).toBe(true);
  });

  test("many clients that come and go on a few locks all get their turn, although folders vanish all the time", async () => {
    const server = await startZooKeeper({ properties: { "znode.container.checkIntervalMs": "1" } });
    onTestFinished(() => server.close());
    const proxies = await Promise.all(Array.from({ length: 8 }, () => proxied(server)));
    for (const proxy of proxies) await prepare(proxy);
    const taken: number[] = [];
    await Promise.all(
      proxies.map(async (proxy, index) => {
        const coordinator = await open(proxy.address, "/x");
        for (let turn = 0; turn < 25; turn += 1) {
          const draft = draftFor(index % 2 === 0 ? ["a/b", "a/c"] : "a/b", { key: "together", slots: Number.POSITIVE_INFINITY });
          const joined = await coordinator.join(draft);
          const settled = await coordinator.settle(draft, joined, recordFor(draft));
          taken.push(settled.fencingToken);
          expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
        }
      }),
    );
    expect(new Set(taken).size).toBe(8 * 25);
  });
});

describe("a claimant whose folder vanishes", () => {
  test("between its look and its entry makes it again", async () => {
    const [root, server] = [freshRoot(), inject("zookeeper")];
    const [proxy, client] = [await proxied(server), await plain(server)];
    const coordinator = await open(proxy.address, root);
    await leaveAll(coordinator, ["a/b"]);
    // A claimant that finds its folder gone looks which folders are missing. Before it makes them, another one vanishes.
    await client.remove(`${root}/locks/a/b`);
    const making = proxy.holdRequest(makesContainers);
    const draft = draftFor("a/b");
    const joining = coordinator.join(draft);
    await making.caught;
    await client.remove(`${root}/locks/a`);
    making.release();
    expect(only(await joining).ahead).toEqual([]);
    expect(await idsIn(coordinator, "a/b")).toEqual([draft.id]);
  });

  test("and is made again by another claimant joins behind that one", async () => {
    const [root, server] = [freshRoot(), inject("zookeeper")];
    const [proxy, other] = [await proxied(server), await open(`${server.host}:${server.port}`, root)];
    const coordinator = await open(proxy.address, root);
    const making = proxy.holdRequest(makesContainers);
    const joining = coordinator.join(draftFor(["a/b", "c"]));
    await making.caught;
    const first = await other.join(draftFor("a/b"));
    making.release();
    const [behind] = (await joining).positions;
    expect(behind?.ahead.map(({ ref }) => ref)).toEqual([only(first).ref]);
  });

  test("again and again gives up in clear words", async () => {
    const [root, server] = [freshRoot(), inject("zookeeper")];
    const [proxy, client] = [await proxied(server), await plain(server)];
    const coordinator = await open(proxy.address, root);
    const state = { isOver: false };
    const joining = coordinator.join(draftFor("a/b")).then(
      () => "joined",
      (error: unknown) => error,
    );
    const settled = joining.finally(() => (state.isOver = true));
    for (let tries = 0; !state.isOver; tries += 1) {
      const making = proxy.holdRequest({ operation: [Opcode.create, Opcode.multi], where: mentions("/locks/a/b/_c_") });
      const isCaught = await Promise.race([making.caught.then(() => true), settled.then(() => false)]);
      if (!isCaught) break;
      // Every other time the folder exists when it is to be made, and is gone when the claim is to enter it.
      if (tries % 2 === 1) await client.create(`${root}/locks/a/b`);
      else if (tries > 0) await client.remove(`${root}/locks/a/b`);
      making.release();
    }
    expect(await settled).toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("ZooKeeper refuses this") as string,
    });
  });
});

test("a process that has made no folder looks once whether the server removes them: when it joins, and not when it leaves", async () => {
  const [root, server] = [freshRoot(), inject("zookeeper")];
  const [proxy, maker] = [await proxied(server), await open(`${server.host}:${server.port}`, root)];
  await maker.join(draftFor("a"));
  const coordinator = await open(proxy.address, root);
  const joined = await coordinator.join(draftFor("a"));
  await coordinator.sync();
  expect(proxy.count(Opcode.getData)).toBe(1);
  await coordinator.withdraw(joined.positions);
  for (let round = 0; round < 3; round += 1) {
    await coordinator.withdraw((await coordinator.join(draftFor("a"))).positions);
    // By then the server has answered everything that goes on behind the withdrawal.
    await coordinator.sync();
  }
  expect(proxy.count(Opcode.getData)).toBe(1);
});

describe("where the server knows no containers", () => {
  async function stage() {
    const [root, server] = [freshRoot(), inject("zookeeper")];
    const [proxy, client] = [await proxied(server), await plain(server)];
    proxy.forgetHow(makesContainers);
    return { root, server, proxy, client, coordinator: await open(proxy.address, root) };
  }

  test("a claimant that joins before the folder is deleted keeps it, and one that joins after makes it again", async () => {
    const { root, server, proxy, client, coordinator } = await stage();
    const other = await open(`${server.host}:${server.port}`, root);
    const { draft, settled } = await takeDurably(coordinator, "a");
    const deleting = proxy.holdRequest({ operation: Opcode.delete, where: mentions(`${root}/locks/a`) });
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    await deleting.caught;
    const next = await takeDurably(other, "a");
    deleting.release();
    await coordinator.sync();
    expect(await idsIn(other, "a")).toEqual([next.draft.id]);
    expect(await other.leave(next.draft.id, next.settled.entries, RELEASED)).toBe("done");
    await until(async () => !(await client.exists(`${root}/locks/a`)), "the folder to go with its last claim");
    expect(await coordinator.join(draftFor("a"))).toMatchObject({ positions: [{ ahead: [] }] });
  });

  test("folders of other programs, and their contents, stay", async () => {
    const { root, client, coordinator } = await stage();
    await client.create(`${root}/locks/kazoo/lock`);
    await leaveAll(coordinator, ["kazoo/lock", "kazoo"]);
    const { draft, settled } = await takeDurably(coordinator, "mine/lock");
    await client.create(`${root}/locks/mine/notes`, "another's");
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    await coordinator.close();
    expect(await client.exists(`${root}/locks/kazoo/lock`)).toBe(true);
    expect(await client.children(`${root}/locks/mine`)).toEqual(["notes"]);
  });

  test("Holdline understands a server that hangs up instead of saying so", async () => {
    const [root, server] = [freshRoot(), inject("zookeeper")];
    const [proxy, client] = [await proxied(server), await plain(server)];
    const coordinator = await open(proxy.address, root);
    const hungUp = [proxy.dropRequest(makesContainers), proxy.dropRequest(makesContainers)];
    const third = proxy.seen(makesContainers);
    await leaveAll(coordinator, ["a"]);
    await Promise.all(hungUp);
    await coordinator.close();
    expect(await client.children(`${root}/locks`)).toEqual([]);
    expect(await Promise.race([third, Promise.resolve("not asked again")])).toBe("not asked again");
  });
});
