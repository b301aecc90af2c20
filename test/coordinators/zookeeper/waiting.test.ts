// What a waiter asks the server for, and what counts as its turn. A proxy counts requests and makes events arrive together.
import { expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator, Draft, Joined } from "../../../src/locks/coordinator.js";
import { type Turn, takeTurn, type TurnOptions } from "../../../src/line/turn.js";
import { type FaultProxy, openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshRoot } from "../../support/roots.js";
import { until, within } from "../../support/wait.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { draftFor, idsIn, recordFor, RELEASED, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

const EPHEMERAL: Partial<Draft> = { settles: false };

/** A coordinator that waits behind a proxy, and another with a direct connection. */
async function openStage() {
  const server = inject("zookeeper");
  const proxy = await openFaultProxy(server);
  onTestFinished(() => proxy.close());
  const root = freshRoot();
  const open = async (address: string): Promise<Coordinator> => {
    const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, TEST_OPTIONS);
    onTestFinished(() => coordinator.close());
    return coordinator;
  };
  return { proxy, waiting: await open(proxy.address), other: await open(`${server.host}:${server.port}`) };
}

/** Waits in line; `looked` resolves once it has looked that often. */
function startWaiting(coordinator: Coordinator, draft: Draft, options: Partial<TurnOptions> = {}) {
  let looks = 0;
  const turn = takeTurn(coordinator, draft, {
    signal: new AbortController().signal,
    look: () => {
      looks += 1;
      return Promise.resolve("stay");
    },
    ...options,
  });
  turn.catch(() => undefined);
  return { turn: within(turn, "the turn"), looked: (often: number) => until(() => looks === often, `look ${often}`) };
}

function asked(proxy: FaultProxy): { readonly lists: number; readonly looks: number } {
  return { lists: proxy.count(Opcode.getChildren), looks: proxy.count(Opcode.exists) + proxy.count(Opcode.setWatches) };
}

function joinedBy(turn: Turn) {
  if (turn.outcome !== "granted") throw new Error("left the line without being asked to");
  return turn.joined;
}

test("a waiter that knows who is ahead reads nothing when they leave", async () => {
  const { proxy, waiting, other } = await openStage();
  const line: Joined[] = [];
  while (line.length < 5) line.push(await other.join(draftFor("a", EPHEMERAL)));
  const leaves = (position: number): Promise<void> => other.withdraw((line[position] as Joined).positions);
  const { turn, looked } = startWaiting(waiting, draftFor("a", EPHEMERAL));
  await looked(1);
  await until(() => asked(proxy).looks === 1, "it to watch the nearest three, and its own entry, with one request");
  await leaves(0);
  await leaves(1);
  expect(await other.queue("a")).toHaveLength(4);
  expect(asked(proxy)).toEqual({ lists: 1, looks: 1 });
  await leaves(2);
  await looked(2);
  expect(asked(proxy)).toEqual({ lists: 2, looks: 1 });
  await leaves(3);
  await looked(3);
  await leaves(4);
  expect(joinedBy(await turn).positions).toEqual([expect.objectContaining({ ahead: [] })]);
  expect(asked(proxy)).toEqual({ lists: 2, looks: 1 });
});

test("a waiter does not ask again about claims that leave while it reads the line", async () => {
  const { proxy, waiting, other } = await openStage();
  const [first, second] = [await other.join(draftFor("a", EPHEMERAL)), await other.join(draftFor("a", EPHEMERAL))];
  let proceed = (): void => undefined;
  const paused = new Promise<void>((resolve) => (proceed = resolve));
  let pauses = 0;
  const { turn, looked } = startWaiting(waiting, draftFor("a", EPHEMERAL), {
    pause: (_claimsAhead, signal) => {
      pauses += 1;
      return pauses === 1 ? paused : new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
    },
  });
  await looked(1);
  await until(() => asked(proxy).looks === 1, "it to watch");
  const list = proxy.holdReply(Opcode.getChildren);
  proceed();
  await list.caught;
  await other.withdraw(first.positions);
  await other.withdraw(second.positions);
  list.release();
  joinedBy(await turn);
  expect(asked(proxy)).toEqual({ lists: 2, looks: 1 });
});

test("the same holds for a durable holder, and a claim that is only settling has not left", async () => {
  const { proxy, waiting, other } = await openStage();
  const draft = draftFor("a");
  const settling = await other.join(draft);
  const { turn, looked } = startWaiting(waiting, draftFor("a", EPHEMERAL));
  await looked(1);
  await until(() => asked(proxy).looks === 2, "it to watch it, and its own");
  const settled = await other.settle(draft, settling, recordFor(draft));
  await until(() => asked(proxy).looks === 3, "it to look at the entry that has vanished, and to find it there");
  await waiting.list();
  const before = asked(proxy);
  await other.leave(draft.id, settled.entries, RELEASED);
  joinedBy(await turn);
  expect(asked(proxy)).toEqual(before);
});

test("a waiter that needs a fencing token reads the line when the holder has left", async () => {
  const { proxy, waiting, other } = await openStage();
  const held = await takeDurably(other, "a");
  const { turn, looked } = startWaiting(waiting, draftFor("a", EPHEMERAL), { needsFencingToken: true });
  await looked(1);
  await until(() => asked(proxy).looks === 2, "it to watch");
  const { lists } = asked(proxy);
  const updated = await other.update(held.draft.id, held.settled, recordFor(held.draft, { reason: "still at it" }));
  if (typeof updated === "string") throw new Error(updated);
  const adopted = await other.adopt(held.draft.id, updated.entries, recordFor(held.draft));
  if (typeof adopted === "string") throw new Error(adopted);
  await other.leave(held.draft.id, adopted.entries, RELEASED);
  expect(joinedBy(await turn).session.latestRevision()).toBeGreaterThan(adopted.fencingToken);
  expect(asked(proxy).lists).toBeGreaterThan(lists);
});

test("a waiter whose own entry went before the holder left has no turn, although both reports arrive at once", async () => {
  const { proxy, waiting, other } = await openStage();
  const first = await other.join(draftFor("a", EPHEMERAL));
  const mine = draftFor("a", EPHEMERAL);
  const { turn, looked } = startWaiting(waiting, mine);
  await looked(1);
  await until(() => asked(proxy).looks === 1, "it to watch the holder, and its own");
  await waiting.list();
  proxy.freeze();
  const [claim] = await other.find(mine.id);
  if (claim === undefined) throw new Error("it does not stand in line");
  await other.withdraw([{ lock: "a", ref: claim.ref, revision: claim.revision }]);
  await other.withdraw(first.positions);
  expect(await idsIn(other, "a")).toEqual([]);
  proxy.thaw();
  await expect(turn).rejects.toMatchObject({ code: "claim-lost" });
});
