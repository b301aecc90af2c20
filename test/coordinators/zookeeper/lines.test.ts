// A thousand claims of one process in one line: what they ask a server for does not grow with the square of their number.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator, Draft, Joined, QueuePosition } from "../../../src/locks/coordinator.js";
import { type FaultProxy, openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshRoot } from "../../support/roots.js";
import { until, within } from "../../support/wait.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { draftFor, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

const EPHEMERAL: Partial<Draft> = { settles: false };

async function openStage(): Promise<{ proxy: FaultProxy; coordinator: Coordinator; other: Coordinator }> {
  const server = inject("zookeeper");
  const proxy = await openFaultProxy(server);
  onTestFinished(() => proxy.close());
  const root = freshRoot();
  const open = async (address: string): Promise<Coordinator> => {
    const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, TEST_OPTIONS);
    onTestFinished(() => coordinator.close());
    return coordinator;
  };
  const [coordinator, other] = [await open(proxy.address), await open(`${server.host}:${server.port}`)];
  // The first claim of a lock makes its parents.
  const first = await other.join(draftFor("a", EPHEMERAL));
  await other.withdraw(first.positions);
  return { proxy, coordinator, other };
}

const refsAhead = ({ positions: standings }: Joined): string[] => (standings[0]?.ahead ?? []).map(({ ref }) => ref);
const refOf = ({ positions: standings }: Joined): string => standings[0]?.ref ?? "";

test("a claim alone is one create and one list", async () => {
  const { proxy, coordinator } = await openStage();
  const before = [proxy.count(Opcode.create), proxy.count(Opcode.getChildren)];
  await coordinator.join(draftFor("a", EPHEMERAL));
  expect([proxy.count(Opcode.create), proxy.count(Opcode.getChildren)].map((count, at) => count - (before[at] ?? 0))).toEqual([
    1, 1,
  ]);
});

test("those that join, look and read holders at once share what the server is asked for", async () => {
  const { proxy, coordinator } = await openStage();
  const lists = (): number => proxy.count(Opcode.getChildren);
  const before = lists();
  const joined = await Promise.all(Array.from({ length: 1_000 }, () => coordinator.join(draftFor("a", EPHEMERAL))));
  expect(lists() - before, "for the joins").toBeLessThanOrEqual(10);
  const inOrder = joined.toSorted((one, other) => refsAhead(one).length - refsAhead(other).length);
  for (const [position, one] of inOrder.entries()) {
    expect(refsAhead(one).length).toBe(position);
    if (position > 0) expect(refsAhead(one).at(-1)).toBe(refOf(inOrder[position - 1] as Joined));
  }

  const [afterJoins, reads] = [lists(), proxy.count(Opcode.getData)];
  await Promise.all(joined.map(({ positions: standings }) => coordinator.position(standings[0]!)));
  expect(lists() - afterJoins, "for the looks").toBe(2);
  await Promise.all(joined.map(() => coordinator.queue("a", undefined, 2)));
  expect(lists() - afterJoins, "for the holders").toBe(4);
  expect(proxy.count(Opcode.getData) - reads).toBe(4);
});

test("a list that was asked for before a claim was created is not the claim's", async () => {
  const { proxy, coordinator, other } = await openStage();
  const first = await coordinator.join(draftFor("a", EPHEMERAL));
  const held = proxy.holdReply(Opcode.getChildren);
  const looking = coordinator.position(first.positions[0]!);
  await within(held.caught, "the list");
  // Enters after the list was made, before anybody has read it.
  const between = await other.join(draftFor("a", EPHEMERAL));
  const joining = coordinator.join(draftFor("a", EPHEMERAL));
  await until(async () => (await other.queue("a")).length === 3, "the claim to be created");
  held.release();
  await within(looking, "the look");
  expect(refsAhead(await within(joining, "the join"))).toEqual([refOf(first), refOf(between)]);
});

test("of a thousand requests no more than 256 are on their way to a server at once", async () => {
  const { proxy, coordinator, other } = await openStage();
  const held = proxy.holdReply(Opcode.create);
  const before = proxy.count(Opcode.create);
  const joining = Promise.all(Array.from({ length: 1_000 }, () => coordinator.join(draftFor("a", EPHEMERAL))));
  await within(held.caught, "the first answer");
  // The list follows the first create, and a look at the folder follows the list.
  await until(async () => (await other.queue("a")).length >= 254, "the server to have them");
  expect(proxy.count(Opcode.create) - before).toBe(254);
  held.release();
  expect(await within(joining, "the joins")).toHaveLength(1_000);
});

describe("a list that several have shared", () => {
  /** Somebody else's claim, and behind it two of one session, which have one list in common. */
  async function openLine() {
    const { proxy, coordinator, other } = await openStage();
    const first = await other.join(draftFor("a", EPHEMERAL));
    const joins = [draftFor("a", EPHEMERAL), draftFor("a", EPHEMERAL), draftFor("a", EPHEMERAL)];
    // The list of the first one is under way when the others ask for theirs.
    const joined = await Promise.all(joins.map((draft) => coordinator.join(draft)));
    const [second, third] = joined.toSorted((one, another) => refsAhead(one).length - refsAhead(another).length);
    return { proxy, coordinator, other, first, second: second as Joined, third: third as Joined };
  }

  test("serves each of them once more, and then it is asked anew who has left", async () => {
    const { proxy, coordinator, other, first, second } = await openLine();
    await other.withdraw(first.positions);
    const before = proxy.count(Opcode.getChildren);
    const [standing] = second.positions as [QueuePosition];
    const once = await coordinator.position(standing);
    expect(proxy.count(Opcode.getChildren) - before).toBe(0);
    expect(once.ahead.map(({ ref }) => ref)).toEqual([refOf(first)]);
    expect((await coordinator.position(standing)).ahead).toEqual([]);
    expect(proxy.count(Opcode.getChildren) - before).toBe(1);
  });

  test("does not have those of whom the server has told that they left", async () => {
    const { proxy, coordinator, other, first, second, third } = await openLine();
    const leaving = coordinator.departed(second, "a", [refOf(first)]);
    await other.withdraw(first.positions);
    await within(leaving, "the leaving");
    const before = proxy.count(Opcode.getChildren);
    expect((await coordinator.position(third.positions[0]!)).ahead.map(({ ref }) => ref)).toEqual([refOf(second)]);
    expect(proxy.count(Opcode.getChildren) - before).toBe(0);
  });

  test("does not hide that one's own entry was removed", async () => {
    const { coordinator, other, second } = await openLine();
    await other.withdraw(second.positions);
    await expect(coordinator.position(second.positions[0]!)).rejects.toMatchObject({ code: "claim-lost" });
  });

  test("comes with an answer of now, so that what a session has seen is a fencing token", async () => {
    const { coordinator, other, second } = await openLine();
    const later = await other.join(draftFor("b", EPHEMERAL));
    expect(second.session.latestRevision()).toBeLessThan(later.session.latestRevision());
    await coordinator.position(second.positions[0]!);
    expect(second.session.latestRevision()).toBeGreaterThanOrEqual(later.session.latestRevision());
  });
});
