// An admin clears a waiting claim at the very moment in which it is granted and settles. The first of the two wins, and the
// other learns it. On both stores; on ZooKeeper also with requests held back on their way.
import { NONE_GONE } from "../support/perspectives.js";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { clearClaim } from "../../src/leases/clear.js";
import type { Cleared } from "../../src/leases/clear.js";
import { openZooKeeper } from "../../src/coordinators/zookeeper/index.js";
import type { Coordinator, Draft, Settled } from "../../src/locks/coordinator.js";
import { ClaimLostError } from "../../src/locks/errors.js";
import { draftFor, idsIn, recordFor, RELEASED, TEST_OPTIONS } from "../coordinators/conformance/store.js";
import { freshPath, openFor } from "../stores/sqlite/store.js";
import { mentions, openFaultProxy } from "../support/fault-proxy.js";
import type { RequestMatch } from "../support/fault-proxy.js";
import { failOnLeaks } from "../support/leaks.js";
import { freshRoot } from "../support/roots.js";
import { until, within } from "../support/wait.js";
import { Opcode } from "../support/zookeeper-frames.js";

failOnLeaks();

/** Two on a store of the test's own: one whose claim it is, and an admin. */
async function openSqliteStage() {
  const path = await freshPath();
  return { owner: await openFor(path), admin: await openFor(path) };
}

/** The same on ZooKeeper, each behind a proxy. */
async function openZooKeeperStage() {
  const root = freshRoot();
  const open = async () => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const coordinator = await openZooKeeper(`zookeeper://${proxy.address}${root}`, TEST_OPTIONS);
    onTestFinished(() => coordinator.close());
    return { coordinator, proxy };
  };
  const [owner, admin] = [await open(), await open()];
  return { owner: owner.coordinator, admin: admin.coordinator, ownersWay: owner.proxy, adminsWay: admin.proxy };
}

// The admin's node knows no more of the owner than the store does.
const NOTHING_SEEN = { perspective: NONE_GONE, commandPids: () => Promise.resolve([]) };

/** The admin withdraws the claim by force. */
function clears(admin: Coordinator, { id }: Draft): Promise<Cleared> {
  const request = { lock: "a", claim: id, reason: "OPS-1", force: true, by: "ann@admin-01" };
  const clearing = within(clearClaim(admin, request, NOTHING_SEEN, new AbortController().signal), "the clear");
  // A test that fails earlier must show its own error, and not this rejection.
  clearing.catch(() => undefined);
  return clearing;
}

/** The claim is held, as if nobody had tried to clear it, and its owner can end it. */
async function expectHeld(owner: Coordinator, draft: Draft, settling: Promise<Settled>): Promise<void> {
  const { entries, fencingToken } = await within(settling, "the settle");
  for (const lock of draft.locks) {
    const [claim, ...others] = await owner.queue(lock);
    expect([claim, others]).toMatchObject([{ id: draft.id, durable: true, alive: true, fencingToken }, []]);
  }
  expect(await owner.leave(draft.id, entries, RELEASED)).toBe("done");
}

/** The claim is gone from all its queues, its owner knows, and the next claim has nobody before it. */
async function expectLost(owner: Coordinator, admin: Coordinator, draft: Draft, settling: Promise<unknown>): Promise<void> {
  await expect(within(settling, "the settle")).rejects.toBeInstanceOf(ClaimLostError);
  for (const lock of draft.locks) expect(await idsIn(admin, lock)).toEqual([]);
  expect(await owner.history(null, 10), "it was never held").toEqual([]);
  const next = await admin.join(draftFor(draft.locks));
  expect(next.positions.map(({ ahead }) => ahead)).toEqual(draft.locks.map(() => []));
}

describe.each([
  ["zookeeper", openZooKeeperStage],
  ["sqlite", openSqliteStage],
])("on %s", (_, openStage) => {
  test("a claim that settles after the admin has looked stays, and the admin learns that it is held by now", async () => {
    const { owner, admin } = await openStage();
    const draft = draftFor(["a", "b"]);
    const joined = await owner.join(draft);
    let isLooked = (): void => undefined;
    const settling = new Promise<void>((resolve) => (isLooked = resolve)).then(() => owner.settle(draft, joined, recordFor(draft)));
    // The admin's last look; what it decides on that is out of date.
    const find = admin.find.bind(admin);
    admin.find = async (...asked) => {
      const found = await find(...asked);
      isLooked();
      await settling;
      return found;
    };
    expect(await clears(admin, draft)).toMatchObject({ outcome: "changed", chosen: { state: "held", durable: true } });
    await expectHeld(owner, draft, settling);
  });

  test("a claim that was cleared before it settles is gone, and its owner learns it", async () => {
    const { owner, admin } = await openStage();
    const draft = draftFor(["a", "b"]);
    const joined = await owner.join(draft);
    expect(await clears(admin, draft)).toMatchObject({ outcome: "cleared", entries: [{ lock: "a" }, { lock: "b" }] });
    await expectLost(owner, admin, draft, owner.settle(draft, joined, recordFor(draft)));
  });
});

describe("on ZooKeeper, with both on their way at once", () => {
  /** The owner's claim has been granted, and nothing has been asked for since. */
  async function openGranted(locks: readonly string[] = ["a"]) {
    const stage = await openZooKeeperStage();
    const draft = draftFor(locks);
    return { ...stage, draft, joined: await stage.owner.join(draft) };
  }
  const withdrawalFrom = (lock: string): RequestMatch => ({ operation: Opcode.delete, where: mentions(`/locks/${lock}/`) });

  test.each([[["a"]], [["a", "b"]]])("a settle that arrives before the withdrawal stands: %s", async (locks) => {
    const { owner, admin, adminsWay, draft, joined } = await openGranted(locks);
    const withdrawal = adminsWay.holdRequest(withdrawalFrom("a"));
    const clearing = clears(admin, draft);
    await withdrawal.caught;
    const settling = owner.settle(draft, joined, recordFor(draft));
    await within(settling, "the settle");
    withdrawal.release();
    expect(await clearing).toMatchObject({ outcome: "changed", chosen: { state: "held", durable: true } });
    await expectHeld(owner, draft, settling);
  });

  test.each([[["a"]], [["a", "b"]]])("a withdrawal that arrives before the settle is what happens: %s", async (locks) => {
    const { owner, admin, ownersWay, draft, joined } = await openGranted(locks);
    const settle = ownersWay.holdRequest({ operation: Opcode.multi, where: mentions(draft.id) });
    const settling = owner.settle(draft, joined, recordFor(draft));
    settling.catch(() => undefined);
    await settle.caught;
    expect(await clears(admin, draft)).toMatchObject({ outcome: "cleared" });
    settle.release();
    await expectLost(owner, admin, draft, settling);
  });

  test("a settle that arrives when half of it is withdrawn settles nothing", async () => {
    const { owner, admin, adminsWay, draft, joined } = await openGranted(["a", "b"]);
    const second = adminsWay.holdRequest(withdrawalFrom("b"));
    const clearing = clears(admin, draft);
    await second.caught;
    await until(async () => (await idsIn(owner, "a")).length === 0, "the first half to be withdrawn");
    const settling = owner.settle(draft, joined, recordFor(draft));
    await expect(within(settling, "the settle")).rejects.toBeInstanceOf(ClaimLostError);
    second.release();
    expect(await clearing).toMatchObject({ outcome: "cleared" });
    await expectLost(owner, admin, draft, settling);
  });
});
