// The history in ZooKeeper: one folder for all locks, kept within its bounds whoever writes to it. The records of earlier versions are read too.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator, CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient, type PlainClient } from "../../support/plain-client.js";
import { freshId, freshRoot } from "../../support/roots.js";
import { until } from "../../support/wait.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { ownerAt, RELEASED, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

// One record in this many trims the history.
const TRIM_EVERY = 32;

async function open(root: string, options: Partial<CoordinatorOptions> = {}): Promise<Coordinator> {
  const { host, port } = inject("zookeeper");
  const coordinator = await openZooKeeper(`zookeeper://${host}:${port}${root}`, { ...TEST_OPTIONS, ...options });
  onTestFinished(() => coordinator.close());
  return coordinator;
}

async function plain(): Promise<PlainClient> {
  const client = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => client.close());
  return client;
}

async function end(coordinator: Coordinator, lock: string): Promise<string> {
  const { draft, settled } = await takeDurably(coordinator, lock);
  expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  return draft.id;
}

/** A record as Holdline up to 0.1 wrote it, in a folder of the lock's own. */
async function plantFormer(client: PlainClient, root: string, lock: string): Promise<string> {
  const claim = freshId();
  const ended = { claim, event: "released", by: "deploy@web-01", reason: "done", claimedAt: 1_700_000_000_000 };
  const record = {
    v: 1,
    owner: ownerAt("web-01"),
    key: null,
    slots: 1,
    made: null,
    expiresAt: null,
    reason: "why",
    data: 7,
    failure: null,
  };
  await client.create(`${root}/history/${lock}/_h_`, JSON.stringify({ ...ended, record }), "persistent-sequential");
  return claim;
}

describe("the history", () => {
  test("has records and no folders for locks", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const coordinator = await open(root);
    for (const lock of ["restart/nginx", "a=b", "%5F"]) await end(coordinator, lock);
    const names = await client.children(`${root}/history`);
    expect(names).toEqual(["_h_%255F=0000000002", "_h_a%3Db=0000000001", "_h_restart%2Fnginx=0000000000"]);
    for (const lock of ["restart/nginx", "a=b", "%5F"]) expect(await coordinator.history(lock, 9)).toMatchObject([{ lock }]);
    expect((await coordinator.history(null, 2)).map(({ lock }) => lock)).toEqual(["%5F", "a=b"]);
  });

  test("is trimmed by processes that end with their release, too", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const first = await open(root, { historyKeep: 3 });
    for (let index = 0; index < TRIM_EVERY; index += 1) await end(first, index === 0 ? "b" : "a");
    expect(await client.children(`${root}/history`)).toHaveLength(TRIM_EVERY);
    const last = await open(root, { historyKeep: 3 });
    await end(last, "a");
    await last.close();
    expect(await client.children(`${root}/history`)).toHaveLength(4);
    expect(await first.history("b", 9)).toHaveLength(1);
  });

  test("has a bound over all locks, which readers see at once", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const coordinator = await open(root, { historyTotal: 5 });
    const claims: string[] = [];
    for (let index = 0; index < TRIM_EVERY; index += 1) claims.unshift(await end(coordinator, `ci/${index}`));
    const shown = async (): Promise<readonly string[]> => (await coordinator.history(null, 99)).map(({ claim }) => claim);
    expect([await shown(), await coordinator.history("ci/1", 9)]).toEqual([claims.slice(0, 5), []]);
    claims.unshift(await end(coordinator, "last"));
    expect(await shown()).toEqual(claims.slice(0, 5));
    await coordinator.close();
    expect(await client.children(`${root}/history`)).toHaveLength(5);
  });

  test("forgets records that are too old: readers at once, the store with a later record", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const [coordinator, patient] = [await open(root, { historyForMs: 1 }), await open(root, { historyForMs: 3_600_000 })];
    for (let index = 0; index < TRIM_EVERY; index += 1) await end(patient, `ci/${index}`);
    await until(async () => (await coordinator.history(null, 99)).length === 0, "all records to be too old");
    expect(await patient.history(null, 99)).toHaveLength(TRIM_EVERY);
    await end(coordinator, "last");
    await coordinator.close();
    const left = await client.children(`${root}/history`);
    expect(left.filter((name) => !name.startsWith("_h_last="))).toEqual([]);
  });

  test("keeps and shows its records although someone has planted numbers far ahead", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const bounds = { historyKeep: 2, historyTotal: 5 };
    const coordinator = await open(root, bounds);
    const [b, a1, a2] = [await end(coordinator, "b"), await end(coordinator, "a"), await end(coordinator, "a")];
    const junk = Array.from({ length: 9 }, (_, index) => `${root}/history/_h_a=0000${900_000 + index}`);
    for (const path of junk) await client.create(path, "no record");
    const claimsOf = async (lock: string | null, limit = 99): Promise<readonly string[]> =>
      (await coordinator.history(lock, limit)).map(({ claim }) => claim);
    expect([await claimsOf(null), await claimsOf("a"), await claimsOf("a", 1)]).toEqual([[a2, a1, b], [a2, a1], [a2]]);
    expect(await coordinator.tidy?.()).toEqual(junk);
    expect([await claimsOf(null), await claimsOf("b")]).toEqual([[a2, a1, b], [b]]);
    const a3 = await end(coordinator, "a");
    expect(await claimsOf(null)).toEqual([a3, a2, b]);
  });

  test("counts a record from a copied tree, whose numbers are ahead, like any other", async () => {
    const [from, root, client] = [freshRoot(), freshRoot(), await plain()];
    const [source, coordinator] = [await open(from), await open(root, { historyKeep: 1 })];
    const copied = await end(source, "a");
    const own = await end(coordinator, "a");
    const [name = ""] = await client.children(`${from}/history`);
    await client.create(`${root}/history/_h_a=0000900000`, await client.read(`${from}/history/${name}`));
    expect(await coordinator.tidy?.()).toHaveLength(1);
    expect((await coordinator.history(null, 9)).map(({ claim }) => claim)).toEqual([copied]);
    expect(own).not.toBe(copied);
  });

  test("costs as much as is asked for, however many locks there were", async () => {
    const root = freshRoot();
    const writer = await open(root);
    for (let index = 0; index < 20; index += 1) await end(writer, `ci/${index}/deep`);
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const reader = await openZooKeeper(`zookeeper://${proxy.address}${root}`, TEST_OPTIONS);
    onTestFinished(() => reader.close());
    expect(await reader.history(null, 5)).toHaveLength(5);
    expect([proxy.count(Opcode.getChildren), proxy.count(Opcode.getData)]).toEqual([1, 5]);
    expect(await reader.history("ci/3/deep", 5)).toHaveLength(1);
    expect([proxy.count(Opcode.getChildren), proxy.count(Opcode.getData)]).toEqual([2, 6]);
  });

  test("has the records that 0.1 wrote beside those of today", async () => {
    const [root, client] = [freshRoot(), await plain()];
    const former = [
      await plantFormer(client, root, "a"),
      await plantFormer(client, root, "a"),
      await plantFormer(client, root, "b/c"),
    ];
    const coordinator = await open(root);
    expect(await coordinator.history("a", 10)).toMatchObject([
      { claim: former[1], lock: "a" },
      { claim: former[0], owner: ownerAt("web-01"), description: "why", lease: null, data: 7, by: "deploy@web-01", reason: "done" },
    ]);
    const now = await end(coordinator, "a");
    const claimsOf = async (lock: string | null, keep = 100): Promise<readonly string[]> =>
      (await (await open(root, { historyKeep: keep })).history(lock, 10)).map(({ claim }) => claim);
    expect(await claimsOf("a")).toEqual([now, former[1], former[0]]);
    expect(await claimsOf("a", 2)).toEqual([now, former[1]]);
    expect(await claimsOf(null)).toEqual([now, former[2], former[1], former[0]]);
  });
});
