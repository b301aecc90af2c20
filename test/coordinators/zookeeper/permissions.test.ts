// Credentials in the URL protect claims only if the folders above the claims belong to them too.
import { expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient, type PlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { draftFor, idsIn, recordFor, RELEASED, takeDurably, TEST_OPTIONS, untilEmpty } from "../conformance/store.js";

failOnLeaks();

const ADDRESS = () => `${inject("zookeeper").host}:${inject("zookeeper").port}`;

async function open(root: string, credentials: string | null, address = ADDRESS()): Promise<Coordinator> {
  const coordinator = await openZooKeeper(
    `zookeeper://${credentials === null ? "" : `${credentials}@`}${address}${root}`,
    TEST_OPTIONS,
  );
  onTestFinished(() => coordinator.close());
  return coordinator;
}

async function plain(credentials: string | null = null): Promise<PlainClient> {
  const client = await openPlainClient(inject("zookeeper"), credentials);
  onTestFinished(() => client.close());
  return client;
}

test("a tree that was first used without credentials is refused, with what to do, and nothing stays in line", async () => {
  const root = freshRoot();
  const stranger = await open(root, null);
  await stranger.withdraw((await stranger.join(draftFor("a"))).positions);
  const owner = await open(root, "ops:secret");
  await expect(owner.join(draftFor("a"))).rejects.toMatchObject({
    code: "configuration",
    message: `the coordinator URL has credentials, but everybody may change ${root}, ${root}/locks, ${root}/alive, ${root}/history, ${root}/locks/a: anybody could delete a claim there`,
    hint: expect.stringContaining("holdline check --live --mend") as string,
  });
  await untilEmpty(stranger, "a");
});

test("a root that somebody has made by hand for everybody is refused", async () => {
  const [root, client] = [freshRoot(), await plain()];
  await client.create(root);
  const owner = await open(root, "ops:secret");
  await expect(owner.join(draftFor("a"))).rejects.toMatchObject({ code: "configuration" });
});

test("a tree that everybody may read and nobody may change is not mistaken for an open one", async () => {
  const root = freshRoot();
  const owner = await open(root, "ops:secret");
  await takeDurably(owner, "a");
  await (await plain("ops:secret")).restrict(`${root}/locks`, 1);
  await expect((await open(root, "ops:secret")).join(draftFor("b"))).rejects.toMatchObject({ code: "not-allowed" });
});

test("a lock's folder that another client has made for everybody is refused, and other locks are not", async () => {
  const root = freshRoot();
  const owner = await open(root, "ops:secret");
  const held = await takeDurably(owner, "a");
  await takeDurably(owner, "b");
  await (await plain("ops:secret")).restrict(`${root}/locks/b`, 31);
  const other = await open(root, "ops:secret");
  await expect(other.join(draftFor("b"))).rejects.toMatchObject({ code: "configuration" });
  await other.withdraw((await other.join(draftFor("a"))).positions);
  expect(await other.leave(held.draft.id, held.settled.entries, RELEASED)).toBe("done");
  expect(await idsIn(other, "b")).toHaveLength(1);
});

test.each(["history", "clock", "documents", "locks/a", "locks/a/b"])(
  "%s that everybody may change is refused for a lock below it",
  async (znode) => {
    const root = freshRoot();
    const owner = await open(root, "ops:secret");
    await takeDurably(owner, "a/b/c");
    await owner.sync();
    await owner.writeDocument("freezes", "f", 0);
    await (await plain("ops:secret")).restrict(`${root}/${znode}`, 31);
    await expect((await open(root, "ops:secret")).join(draftFor("a/b/c"))).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringContaining(`may change ${root}/${znode}: anybody`) as string,
    });
  },
);

test("a claim in a tree that everybody may change is not adopted and stays as it was", async () => {
  const root = freshRoot();
  const owner = await open(root, "ops:secret");
  const { draft, settled } = await takeDurably(owner, "a");
  await (await plain("ops:secret")).restrict(`${root}/locks`, 31);
  const other = await open(root, "ops:secret");
  const adopting = other.adopt(draft.id, settled.entries, recordFor(draft, { reason: "adopted" }));
  await expect(adopting).rejects.toMatchObject({ code: "configuration", hint: expect.stringContaining("--mend") as string });
  expect((await owner.queue("a"))[0]).toMatchObject({ id: draft.id, reason: draft.reason, fencingToken: settled.fencingToken });
});

test("a tree of other credentials is refused in words", async () => {
  const root = freshRoot();
  await takeDurably(await open(root, "ops:secret"), "a");
  await expect((await open(root, "mallory:secret")).join(draftFor("a"))).rejects.toMatchObject({
    code: "not-allowed",
    message: "ZooKeeper refuses this: the znodes belong to other credentials",
  });
});

test("rights are read once in a session, together with the join, and never without credentials", async () => {
  const proxy = await openFaultProxy(inject("zookeeper"));
  onTestFinished(() => proxy.close());
  const root = freshRoot();
  await takeDurably(await open(root, "ops:secret"), "a");
  const owner = await open(root, "ops:secret", proxy.address);
  const held = proxy.holdReply(GET_ACL);
  const asked = proxy.seen(Opcode.create);
  const joining = owner.join(draftFor("a"));
  await held.caught;
  await asked;
  held.release();
  await joining;
  await owner.join(draftFor("a"));
  expect(proxy.count(GET_ACL)).toBe(7);
  await (await open(freshRoot(), null, proxy.address)).join(draftFor("a"));
  expect(proxy.count(GET_ACL)).toBe(7);
});

const GET_ACL = 6;
