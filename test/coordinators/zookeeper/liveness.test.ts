// Liveness entries: every durable claim that a process has in hand has one, and a lease has none.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator, CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { mentions, openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient, type PlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { isPending, until } from "../../support/wait.js";
import { expireSession, Opcode, type SessionCredentials } from "../../support/zookeeper-frames.js";
import { claimIn, leaseOn, recordFor, RELEASED, settledOf, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

async function open(address: string, root: string, options: Partial<CoordinatorOptions> = {}): Promise<Coordinator> {
  const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, { ...TEST_OPTIONS, ...options });
  onTestFinished(() => coordinator.close());
  return coordinator;
}

async function plain(): Promise<PlainClient> {
  const client = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => client.close());
  return client;
}

const ADDRESS = () => `${inject("zookeeper").host}:${inject("zookeeper").port}`;

describe("liveness entries", () => {
  test("exist for the claims of processes and not for leases, in any session", async () => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const root = freshRoot();
    const [coordinator, client] = [await open(proxy.address, root), await plain()];
    const alive = () => client.children(`${root}/alive`);
    const held = await takeDurably(coordinator, "held");
    const lent = await takeDurably(coordinator, ["a", "b"], { lease: leaseOn(["a", "b"]) });
    expect(await alive()).toEqual([held.draft.id]);
    const renewed = settledOf(await coordinator.update(lent.draft.id, lent.settled, recordFor(lent.draft, { expiresAt: 1 })));
    expect(await alive()).toEqual([held.draft.id]);
    const asked = proxy.seen({ operation: Opcode.exists, where: mentions(`/alive/${lent.draft.id}`) });
    await expireSession(inject("zookeeper"), proxy.sessions.at(-1) as SessionCredentials);
    await until(() => proxy.sessions.length === 2, "a new session");
    await until(async () => (await claimIn(coordinator, "held")).alive, "the process's claim to be alive again");
    expect(await alive()).toEqual([held.draft.id]);
    // A process that makes leases for years remembers none of them.
    expect(await isPending(asked)).toBe(true);
    expect(await coordinator.leave(lent.draft.id, renewed.entries, RELEASED)).toBe("done");
    expect(await coordinator.leave(held.draft.id, held.settled.entries, RELEASED)).toBe("done");
    expect(await alive()).toEqual([]);
  });

  test("are put back for a claim whose data others have changed", async () => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const root = freshRoot();
    const [owner, writer] = [await open(proxy.address, root), await open(ADDRESS(), root)];
    const { draft, settled } = await takeDurably(owner, "a");
    for (const status of ["READY", "BUSY"]) {
      const { ref, revision } = await claimIn(writer, "a");
      const entries = [{ lock: "a", ref, revision }];
      settledOf(await writer.update(draft.id, { ...settled, entries }, recordFor(draft, { data: { status } })));
    }
    await expireSession(inject("zookeeper"), proxy.sessions.at(-1) as SessionCredentials);
    await until(() => proxy.sessions.length === 2, "a new session");
    await until(async () => (await claimIn(writer, "a")).alive, "the claim to be alive again");
    expect(await owner.leave(draft.id, settled.entries, RELEASED), "what was read is out of date").toBe("changed");
    const present = await claimIn(owner, "a");
    expect(await owner.leave(draft.id, [present], RELEASED)).toBe("done");
    expect(await writer.history("a", 10)).toMatchObject([{ claim: draft.id, data: { status: "BUSY" } }]);
  });

  test("are not put back by a process that has only written to another's claim", async () => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const root = freshRoot();
    const [owner, writer, client] = [await open(ADDRESS(), root), await open(proxy.address, root), await plain()];
    const { draft, settled } = await takeDurably(owner, "a");
    settledOf(await writer.update(draft.id, settled, recordFor(draft, { data: { status: "READY" } })));
    const witness = await takeDurably(writer, "witness");
    await owner.close();
    await expireSession(inject("zookeeper"), proxy.sessions.at(-1) as SessionCredentials);
    await until(async () => (await claimIn(writer, "witness")).alive, "the writer's own claim to be alive again");
    await writer.list();
    expect(await client.children(`${root}/alive`)).toEqual([witness.draft.id]);
  });
});

describe("a new session", () => {
  test("puts the liveness of a claim back that others have written to meanwhile, and not of one that was taken over", async () => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const root = freshRoot();
    const [coordinator, other] = [await open(proxy.address, root), await open(ADDRESS(), root)];
    const written = await takeDurably(coordinator, "written");
    const taken = await takeDurably(coordinator, "taken");
    const record = recordFor(written.draft, { data: { status: "READY" } });
    settledOf(await other.update(written.draft.id, written.settled, record));
    // By the very same owner: only the fencing token tells the two apart.
    settledOf(await other.adopt(taken.draft.id, taken.settled.entries, recordFor(taken.draft)));
    await expireSession(inject("zookeeper"), proxy.sessions.at(-1) as SessionCredentials);
    await until(async () => (await claimIn(other, "written")).alive, "the claim to be alive again");
    await other.close();
    await until(async () => !(await claimIn(coordinator, "taken")).alive, "the end of the one who took the other");
    expect(await claimIn(coordinator, "written")).toMatchObject({ alive: true, data: { status: "READY" } });
  });
});
