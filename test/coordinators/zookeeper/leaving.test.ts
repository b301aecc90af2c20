// A claim can always be let go: trouble with its history record or its liveness entry does not keep it.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { mentions, openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient, type PlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { type ServerAddress, startZooKeeper } from "../../support/zookeeper-server.js";
import { claimIn, draftFor, idsIn, recordFor, RELEASED, settledOf, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

const READ = 1;
const ALL_BUT_DELETE = 1 + 2 + 4 + 16;

async function open(address: string, root: string): Promise<{ coordinator: Coordinator; warnings: string[] }> {
  const warnings: string[] = [];
  const log = { ...TEST_OPTIONS.log, warn: (_: object, message: string) => void warnings.push(message) };
  const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, { ...TEST_OPTIONS, log });
  onTestFinished(() => coordinator.close());
  return { coordinator, warnings };
}

async function plain(server: ServerAddress = inject("zookeeper")): Promise<PlainClient> {
  const client = await openPlainClient(server);
  onTestFinished(() => client.close());
  return client;
}

const ADDRESS = () => `${inject("zookeeper").host}:${inject("zookeeper").port}`;
const recordOf = (lock: string, number: number) => `_h_${lock}=${String(number).padStart(10, "0")}`;

describe("a claim is let go", () => {
  test("with its record when another record already has the next number", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const { coordinator, warnings } = await open(ADDRESS(), root);
    const { draft, settled } = await takeDurably(coordinator, "a");
    await client.create(`${root}/history/${recordOf("a", 1)}`, "in the way");
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await coordinator.history("a", 10)).toMatchObject([{ claim: draft.id }]);
    expect(warnings).toEqual([]);
  });

  test("without its record, and with a warning, when many records are in the way", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const { coordinator, warnings } = await open(ADDRESS(), root);
    const { draft, settled } = await takeDurably(coordinator, "a");
    for (let number = 1; number < 10; number += 1)
      await client.create(`${root}/history/${recordOf("a", number + 8)}`, "in the way");
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await idsIn(coordinator, "a")).toEqual([]);
    expect(warnings).toEqual([
      "the claim on a is let go all the same, but its history has no record of that: a znode is in the way",
    ]);
  });

  test("when the history's folder is missing", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const { coordinator, warnings } = await open(ADDRESS(), root);
    const { draft, settled } = await takeDurably(coordinator, "a");
    await client.remove(`${root}/history`);
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await coordinator.history("a", 10)).toMatchObject([{ claim: draft.id }]);
    expect(warnings).toEqual([]);
  });

  test("by its owner and by others when they may not write or read the history", async () => {
    for (const permissions of [READ, 16]) {
      const [root, client] = [freshRoot(), await plain()];
      const [owner, admin] = [await open(ADDRESS(), root), await open(ADDRESS(), root)];
      const [first, second] = [await takeDurably(owner.coordinator, "a"), await takeDurably(owner.coordinator, "b")];
      await client.restrict(`${root}/history`, permissions);
      expect(await owner.coordinator.leave(first.draft.id, first.settled.entries, RELEASED)).toBe("done");
      const cleared = { event: "cleared", by: "admin", reason: "why" } as const;
      expect(await admin.coordinator.leave(second.draft.id, second.settled.entries, cleared)).toBe("done");
      for (const { coordinator, warnings } of [owner, admin]) {
        expect(await coordinator.list()).toEqual([]);
        expect(warnings).toHaveLength(1);
        expect(warnings[0]).toMatch(/no record of that: the znodes belong to other credentials/);
      }
    }
  });

  test("with its record when nobody may remove its liveness entry", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const { coordinator, warnings } = await open(ADDRESS(), root);
    const { draft, settled } = await takeDurably(coordinator, "a");
    await client.restrict(`${root}/alive`, ALL_BUT_DELETE);
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await coordinator.history("a", 10)).toMatchObject([{ claim: draft.id }]);
    expect(warnings).toEqual([expect.stringMatching(/its liveness entry stays until the session ends/)]);
  });

  test("with its record when another client has made znodes below it", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const { coordinator, warnings } = await open(ADDRESS(), root);
    const { draft, settled } = await takeDurably(coordinator, "a");
    const below = `${root}/locks/a/${settled.entries[0]?.ref}/below`;
    for (const path of [below, `${below}/deeper`]) await client.create(path);
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await coordinator.history("a", 10)).toMatchObject([{ claim: draft.id }]);
    expect(warnings).toEqual([expect.stringMatching(/2 znodes that another client had made below the claim on a were removed/)]);
  });

  test("only as it was read: after a change nothing below it is touched", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const { coordinator } = await open(ADDRESS(), root);
    const { draft, settled } = await takeDurably(coordinator, "a");
    const path = `${root}/locks/a/${settled.entries[0]?.ref}`;
    await client.create(`${path}/below`);
    await client.write(path, await client.read(path));
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("changed");
    expect(await client.exists(`${path}/below`)).toBe(true);
  });

  test("when a quota is used up; joining names the quota", async () => {
    const server = await startZooKeeper({ properties: { "zookeeper.enforceQuota": "true" } });
    onTestFinished(() => server.close());
    const client = await plain(server);
    const { coordinator, warnings } = await open(server.address, "/full");
    const { draft, settled } = await takeDurably(coordinator, "a");
    await client.create("/zookeeper/quota/full/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1");
    await client.create("/zookeeper/quota/full/zookeeper_stats", "count=0,bytes=0");
    await expect(coordinator.join(draftFor("a"))).rejects.toMatchObject({
      code: "not-allowed",
      message: "ZooKeeper refuses this: the quota of the znodes is used up",
    });
    const failure = { exitCode: 3, signal: null, message: "exit code 3", output: "", at: 1 };
    const keeping = { event: "failed", by: "ann", reason: failure.message } as const;
    const marked = settledOf(await coordinator.update(draft.id, settled, recordFor(draft, { failure }), undefined, keeping));
    expect(await coordinator.queue("a")).toMatchObject([{ id: draft.id, failure }]);
    expect(warnings.splice(0)).toEqual([
      "the claim on a has failed, but its history has no record of that: the quota of the znodes is used up",
    ]);
    expect(await coordinator.leave(draft.id, marked.entries, RELEASED)).toBe("done");
    expect(await coordinator.list()).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(/no record of that: the quota of the znodes is used up/)]);
  });
});

describe("after a lost reply, a leave without a record", () => {
  test("is found done", async () => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const [root, client] = [freshRoot(), await plain()];
    const { coordinator } = await open(proxy.address, root);
    const { draft, settled } = await takeDurably(coordinator, "a");
    await client.restrict(`${root}/history`, READ);
    const isBare = (frame: Buffer) => mentions(`/locks/a/`)(frame) && !mentions("/history/")(frame);
    const lost = proxy.dropReply({ operation: Opcode.multi, where: isBare });
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    await lost;
  });

  test("is found not done when it never arrived and someone else has ended the claim with a record", async () => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const [root, client] = [freshRoot(), await plain()];
    const [owner, admin] = [await open(proxy.address, root), await open(ADDRESS(), root)];
    const { draft, settled } = await takeDurably(owner.coordinator, "a");
    await client.restrict(`${root}/history`, READ + 16);
    const isBare = (frame: Buffer) => mentions(`/locks/a/`)(frame) && !mentions("/history/")(frame);
    const held = proxy.holdRequest({ operation: Opcode.multi, where: isBare });
    const leaving = owner.coordinator.leave(draft.id, settled.entries, RELEASED);
    await held.caught;
    await client.restrict(`${root}/history`, 31);
    const cleared = { event: "cleared", by: "admin", reason: "why" } as const;
    expect(await admin.coordinator.leave(draft.id, [await claimIn(admin.coordinator, "a")], cleared)).toBe("done");
    held.cut();
    expect(await leaving).toBe("gone");
  });
});
