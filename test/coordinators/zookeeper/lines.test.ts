// A thousand claims of one process in one line: their requests do not grow with the square of their number.
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

const refsAhead = ({ positions }: Joined): string[] => (positions[0]?.ahead ?? []).map(({ ref }) => ref);
const refOf = ({ positions }: Joined): string => positions[0]?.ref ?? "";

test("a claim that is alone costs one create and one list", async () => {
  const { proxy, coordinator } = await openStage();
  const before = [proxy.count(Opcode.create), proxy.count(Opcode.getChildren)];
  await coordinator.join(draftFor("a", EPHEMERAL));
  expect([proxy.count(Opcode.create), proxy.count(Opcode.getChildren)].map((count, at) => count - (before[at] ?? 0))).toEqual([
    1, 1,
  ]);
});

test("claims that join, look and read the holders at once share their requests", async () => {
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
  await Promise.all(joined.map(({ positions }) => coordinator.position(positions[0]!)));
  expect(lists() - afterJoins, "for the looks").toBe(2);
  await Promise.all(joined.map(() => coordinator.queue("a", undefined, 2)));
  expect(lists() - afterJoins, "for the holders").toBe(4);
  expect(proxy.count(Opcode.getData) - reads).toBe(4);
});

test("a claim does not use a list that was requested before the claim was created", async () => {
  const { proxy, coordinator, other } = await openStage();
  const first = await coordinator.join(draftFor("a", EPHEMERAL));
  const held = proxy.holdReply(Opcode.getChildren);
  const looking = coordinator.position(first.positions[0]!);
  await within(held.caught, "the list");
  // Joins after the server has made the list, and before anyone has read it.
  const between = await other.join(draftFor("a", EPHEMERAL));
  const joining = coordinator.join(draftFor("a", EPHEMERAL));
  await until(async () => (await other.queue("a")).length === 3, "the claim to be created");
  held.release();
  await within(looking, "the look");
  expect(refsAhead(await within(joining, "the join"))).toEqual([refOf(first), refOf(between)]);
});

test("at most 256 of a thousand requests are under way to a server at once", async () => {
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

describe("a list that several claims have shared", () => {
  /** Another session's claim, and behind it two of one session that share a list. */
  async function openLine() {
    const { proxy, coordinator, other } = await openStage();
    const first = await other.join(draftFor("a", EPHEMERAL));
    const joins = [draftFor("a", EPHEMERAL), draftFor("a", EPHEMERAL), draftFor("a", EPHEMERAL)];
    // The first one's list is under way when the others ask for theirs.
    const joined = await Promise.all(joins.map((draft) => coordinator.join(draft)));
    const [second, third] = joined.toSorted((one, another) => refsAhead(one).length - refsAhead(another).length);
    return { proxy, coordinator, other, first, second: second as Joined, third: third as Joined };
  }

  test("serves each of them once more, and then the server is asked again who has left", async () => {
    const { proxy, coordinator, other, first, second } = await openLine();
    await other.withdraw(first.positions);
    const before = proxy.count(Opcode.getChildren);
    const [position] = second.positions as [QueuePosition];
    const once = await coordinator.position(position);
    expect(proxy.count(Opcode.getChildren) - before).toBe(0);
    expect(once.ahead.map(({ ref }) => ref)).toEqual([refOf(first)]);
    expect((await coordinator.position(position)).ahead).toEqual([]);
    expect(proxy.count(Opcode.getChildren) - before).toBe(1);
  });

  test("does not have claims that the server has reported as gone", async () => {
    const { proxy, coordinator, other, first, second, third } = await openLine();
    const leaving = coordinator.departed(second, "a", [refOf(first)]);
    await other.withdraw(first.positions);
    await within(leaving, "the leaving");
    const before = proxy.count(Opcode.getChildren);
    expect((await coordinator.position(third.positions[0]!)).ahead.map(({ ref }) => ref)).toEqual([refOf(second)]);
    expect(proxy.count(Opcode.getChildren) - before).toBe(0);
  });

  test("does not hide that the claim's own entry was removed", async () => {
    const { coordinator, other, second } = await openLine();
    await other.withdraw(second.positions);
    await expect(coordinator.position(second.positions[0]!)).rejects.toMatchObject({ code: "claim-lost" });
  });

  test("comes with a fresh answer, so that the latest revision of the session is a fencing token", async () => {
    const { coordinator, other, second } = await openLine();
    const later = await other.join(draftFor("b", EPHEMERAL));
    expect(second.session.latestRevision()).toBeLessThan(later.session.latestRevision());
    await coordinator.position(second.positions[0]!);
    expect(second.session.latestRevision()).toBeGreaterThanOrEqual(later.session.latestRevision());
  });
});
