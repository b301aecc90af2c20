// What Holdline asks the server, and in which order, after a lost reply to a settle or a leave, and before an ephemeral claim is granted.
import { expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { SessionLostError } from "../../../src/locks/errors.js";
import { takeTurn } from "../../../src/line/turn.js";
import { uptimeMs } from "../../../src/uptime.js";
import { mentions, openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshRoot } from "../../support/roots.js";
import { isPending, until, within } from "../../support/wait.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { draftFor, idsIn, recordFor, RELEASED, takeDurably, TEST_OPTIONS, untilEmpty } from "../conformance/store.js";

failOnLeaks();

async function openStage() {
  const server = inject("zookeeper");
  const proxy = await openFaultProxy(server);
  onTestFinished(() => proxy.close());
  const root = freshRoot();
  const sleep = { ms: 0 };
  const open = async (address: string): Promise<Coordinator> => {
    const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, TEST_OPTIONS, () => uptimeMs() + sleep.ms);
    onTestFinished(() => coordinator.close());
    return coordinator;
  };
  return { proxy, sleep, coordinator: await open(proxy.address), other: await open(`${server.host}:${server.port}`) };
}

const CLOCK = { operation: Opcode.setData, where: mentions("/clock") };

test("after a lost settle the server is brought up to date before it is asked what happened", async () => {
  const { proxy, coordinator } = await openStage();
  await coordinator.sync();
  const draft = draftFor("a");
  const joined = await coordinator.join(draft);
  const update = proxy.holdRequest(CLOCK);
  const lost = proxy.dropReply({ operation: Opcode.multi, where: mentions(draft.id) });
  const look = proxy.seen({ operation: Opcode.exists, where: mentions("/locks/a/") });
  const settling = coordinator.settle(draft, joined, recordFor(draft));
  settling.catch(() => undefined);
  await lost;
  await within(update.caught, "the server to be brought up to date");
  expect(await isPending(look)).toBe(true);
  update.release();
  expect((await within(settling, "the settle")).entries).toHaveLength(1);
});

test("after a lost leave the server is brought up to date before it is asked what happened", async () => {
  const { proxy, coordinator } = await openStage();
  await coordinator.sync();
  const { draft, settled } = await takeDurably(coordinator, "a");
  const update = proxy.holdRequest(CLOCK);
  const lost = proxy.dropReply({ operation: Opcode.multi, where: mentions(draft.id) });
  const look = proxy.seen({ operation: Opcode.exists, where: mentions("/locks/a/") });
  const leaving = coordinator.leave(draft.id, settled.entries, RELEASED);
  leaving.catch(() => undefined);
  await lost;
  await within(update.caught, "the server to be brought up to date");
  expect(await isPending(look)).toBe(true);
  update.release();
  expect(await within(leaving, "the leave")).toBe("done");
});

test("a settle that is still under way when its session is lost cannot succeed once its caller knows", async () => {
  const { proxy, sleep, coordinator } = await openStage();
  const draft = draftFor("a");
  const joined = await coordinator.join(draft);
  const settle = proxy.holdRequest({ operation: Opcode.multi, where: mentions(draft.id) });
  const settling = coordinator.settle(draft, joined, recordFor(draft));
  settling.catch(() => undefined);
  await settle.caught;
  const removal = proxy.holdRequest({ operation: Opcode.delete, where: mentions(draft.id) });
  // The agent counts the session as lost, but for the server it lives on.
  sleep.ms += TEST_OPTIONS.sessionTimeoutMs * 0.85;
  await within(removal.caught, "the removal of what a late settle would delete");
  expect(await isPending(settling)).toBe(true);
  removal.release();
  await expect(within(settling, "the settle")).rejects.toBeInstanceOf(SessionLostError);
});

test("a settle that its caller has given up is undone if it happens all the same", async () => {
  const { proxy, coordinator, other } = await openStage();
  const draft = draftFor("a");
  const joined = await coordinator.join(draft);
  const reply = proxy.holdReply({ operation: Opcode.multi, where: mentions(draft.id) });
  const stop = new AbortController();
  const settling = coordinator.settle(draft, joined, recordFor(draft), stop.signal);
  settling.catch(() => undefined);
  await reply.caught;
  expect(await other.queue("a")).toMatchObject([{ id: draft.id, durable: true }]);
  stop.abort(new Error("Ctrl-C"));
  await expect(within(settling, "the abort to be heeded")).rejects.toThrow("Ctrl-C");
  reply.release();
  await untilEmpty(other, "a");
  expect(await idsIn(coordinator, "a")).toEqual([]);
});

test("a turn after a long wait is granted only once the ensemble has confirmed that the session lives", async () => {
  const { proxy, sleep, coordinator, other } = await openStage();
  const first = await other.join(draftFor("a", { settles: false }));
  const signal = new AbortController().signal;
  const turn = takeTurn(coordinator, draftFor("a", { settles: false }), { signal });
  await until(async () => (await idsIn(other, "a")).length === 2, "the waiter to join");
  sleep.ms += TEST_OPTIONS.sessionTimeoutMs * 0.4;
  await coordinator.list();
  sleep.ms += TEST_OPTIONS.sessionTimeoutMs * 0.25;
  await coordinator.list();
  const asked = proxy.holdRequest(Opcode.multi);
  await other.withdraw(first.positions);
  await within(asked.caught, "the ensemble to be asked");
  expect(await isPending(turn)).toBe(true);
  asked.release();
  expect(await within(turn, "the turn")).toMatchObject({ outcome: "granted" });
});
