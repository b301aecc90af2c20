// Freezes as people and agents meet them, with the built program on both stores: what is refused, who keeps a place, and that a freeze
// counts from the moment at which the store has it.
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient } from "../support/plain-client.js";
import { until } from "../support/wait.js";
import { Opcode } from "../support/zookeeper-frames.js";
import { inject, onTestFinished } from "vitest";
import { type Fleet, type Node, openFleet, openProxy, STORES } from "./fleet.js";

failOnLeaks();

async function freeze(node: Node, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await node.run("freeze", ...args, "--reason", "the sale");
  expect([code, stderr]).toEqual([0, ""]);
  return stdout.trim();
}

async function thaw(node: Node, id: string): Promise<void> {
  expect((await node.run("thaw", id)).code).toBe(0);
}

/** How many claims wait for or hold a lock. */
const inLine = (fleet: Fleet, lock: string, count: number) =>
  until(async () => (await fleet.queue(lock)).length === count, `${count} claims on ${lock}`);

describe.each(STORES)("on %s", (kind) => {
  test("a freeze is shown on top of the locks, and in the history after its thaw", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const id = await freeze(node, "restart/*", "--node", "web-*", "--for", "2 h");
    const { freezes } = JSON.parse((await node.run("freezes", "--json")).stdout) as { freezes: readonly object[] };
    expect(freezes).toMatchObject([{ id, locks: ["restart/*"], node: "web-*", group: null, reason: "the sale" }]);
    expect((await node.run("locks")).stdout).toMatch(/^FROZEN: restart\/\* on web-\* by .*: the sale/);
    expect(JSON.parse((await node.run("locks", "--json")).stdout)).toEqual({ locks: [], freezes });
    expect(JSON.parse((await node.run("locks", "db", "--json")).stdout)).toEqual({ locks: [], freezes: [] });
    await thaw(node, id);
    expect(await node.run("thaw", id)).toMatchObject({ code: 1, stderr: expect.stringContaining("there is no freeze") as string });
    expect(await node.run("freezes")).toMatchObject({ code: 0, stdout: "nothing is frozen\n" });
    const { history } = JSON.parse((await node.run("history", "restart/*", "--json")).stdout) as { history: readonly object[] };
    expect(history).toMatchObject([
      { event: "thawed", claim: id, reason: "the sale" },
      { event: "frozen", claim: id, reason: "the sale" },
    ]);
    expect((await node.run("history", "--event", "frozen")).stdout).toContain("the sale");
  });

  test("exec and acquire are refused under a freeze, and begin despite it only with a reason", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const id = await freeze(node);
    const acquired = await node.run("acquire", "db", "--json");
    expect(acquired.code).toBe(75);
    expect(JSON.parse(acquired.stdout)).toMatchObject({ error: { code: "frozen" }, freezes: [{ id }] });
    const executed = await node.run("exec", "db", "--json", "--", "echo", "ran");
    expect(executed.code).toBe(75);
    expect(JSON.parse(executed.stdout)).toMatchObject({
      error: { code: "frozen", message: expect.stringContaining("the sale") as string },
    });
    expect((await node.run("lock", "dc01")).code).toBe(75);
    expect(await node.run("exec", "db", "--durable", "--", "true")).toMatchObject({
      code: 75,
      stderr: expect.stringContaining("the sale") as string,
    });
    expect(await fleet.queue("db")).toEqual([]);
    expect((await node.run("exec", "db", "--despite-freeze", "--", "true")).code).toBe(64);
    expect(await node.run("exec", "db", "--despite-freeze", "--reason", "OPS-1", "--", "echo", "ran")).toMatchObject({
      code: 0,
      stdout: "ran\n",
    });
    expect((await node.run("acquire", "db", "--despite-freeze", "--reason", "OPS-1")).code).toBe(0);
    expect(await fleet.queue("db")).toMatchObject([{ reason: "OPS-1" }]);
    await thaw(node, id);
    expect((await node.run("exec", "other", "--", "true")).code).toBe(0);
  });

  test("who waits keeps the place while the whole lock is frozen, and goes on with the thaw of the last freeze", async () => {
    const fleet = await openFleet(kind);
    const [node, admin] = [fleet.node("web-01", {}), fleet.node("admin", {})];
    const lease = (await admin.run("acquire", "db")).stdout.trim();
    const waiting = node.start("exec", "db", "--wait", "none", "--", "echo", "ran");
    await inLine(fleet, "db", 2);
    const [first, second] = [await freeze(admin), await freeze(admin, "d*")];
    await admin.run("release", "db", lease);
    await until(() => waiting.stderr().includes("waiting for the thaw"), "the waiter to hear of the freeze");
    const behind = node.start("acquire", "db", "--wait", "none");
    await inLine(fleet, "db", 2);
    await thaw(admin, first);
    expect(waiting.stdout()).toBe("");
    await thaw(admin, second);
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: "ran\n" });
    expect((await behind.ended).code).toBe(0);
  });

  test("who waits leaves at his turn where only his node or his group is frozen", async () => {
    const fleet = await openFleet(kind);
    const admin = fleet.node("admin", {});
    const node = fleet.node("web-01", {}, { settings: { group: "web" } });
    for (const who of [
      ["--node", "web-*"],
      ["--group", "web"],
    ]) {
      const lease = (await admin.run("acquire", "db")).stdout.trim();
      const waiting = [node.start("exec", "db", "--wait", "none", "--", "true"), node.start("acquire", "db", "--wait", "none")];
      await inLine(fleet, "db", 3);
      const id = await freeze(admin, ...who);
      await admin.run("release", "db", lease);
      for (const { ended } of waiting) expect((await ended).code).toBe(75);
      expect((await admin.run("exec", "db", "--", "true")).code).toBe(0);
      await thaw(admin, id);
    }
  });

  test("a freeze ends by itself, and a wait for that too", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    await freeze(node, "--for", "2 s");
    expect((await node.run("acquire", "db", "--wait", "none")).code).toBe(0);
    expect((await node.run("freezes")).stdout).toBe("nothing is frozen\n");
    await freeze(node);
    expect((await node.run("acquire", "other", "--wait", "0.2 s")).code).toBe(75);
    expect(await fleet.queue("other")).toEqual([]);
  });

  test("freezes that cannot be read are no thaw, and thaw --all mends them", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const coordinator = await fleet.coordinator();
    await coordinator.writeDocument("freezes", "garbage", 0);
    for (const args of [
      ["acquire", "db"],
      ["acquire", "db", "--wait", "none"],
      ["exec", "db", "--", "true"],
    ]) {
      expect(await node.run(...args)).toMatchObject({ code: 78, stderr: expect.stringContaining("thaw --all") as string });
    }
    expect(await fleet.queue("db")).toEqual([]);
    expect((await node.run("locks")).stdout).toMatch(/^FROZEN: the store's freezes cannot be read/);
    expect(JSON.parse((await node.run("locks", "--json")).stdout)).toMatchObject({ freezes: [], freezesUnreadable: true });
    expect((await node.run("thaw", "--all")).code).toBe(0);
    expect((await node.run("acquire", "db")).code).toBe(0);
  });

  test("several stores have the freeze under one id", async () => {
    const [fleet, other] = [await openFleet(kind), await openFleet("sqlite")];
    const node = fleet.node("web-01", {}, { settings: { locks: { elsewhere: { coordinator: other.url } } } });
    const id = await freeze(node);
    const ids = async ({ coordinator }: { coordinator: Fleet["coordinator"] }) =>
      (await (await coordinator()).document("freezes"))?.value;
    for (const one of [fleet, other]) expect(await ids({ coordinator: () => one.coordinator() })).toContain(id);
    expect(JSON.parse((await node.run("freezes", "--json")).stdout)).toMatchObject({ freezes: [{ id }] });
    expect((await node.run("acquire", "elsewhere")).code).toBe(75);
    await thaw(node, id);
    expect((await node.run("acquire", "elsewhere")).code).toBe(0);
    await freeze(node, "elsewhere");
    expect([(await node.run("acquire", "db")).code, (await node.run("acquire", "elsewhere")).code]).toEqual([0, 75]);
  });
});

describe("on zookeeper, through a network that is held up", () => {
  test("a freeze that is committed while a settling is on its way stops it", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const node = fleet.node("web-01", {}, { coordinator: fleet.urlThrough(proxy) });
    const admin = fleet.node("admin", {});
    const settle = proxy.holdRequest(Opcode.multi);
    const waiting = node.start("acquire", "db");
    await settle.caught;
    const id = await freeze(admin);
    settle.release();
    expect((await waiting.ended).code).toBe(75);
    expect(await fleet.queue("db")).toEqual([]);
    await thaw(admin, id);
    expect((await node.run("acquire", "db")).code).toBe(0);
  });

  test("freezes that this node may not read are no thaw", async () => {
    const fleet = await openFleet("zookeeper");
    const client = await openPlainClient(inject("zookeeper"));
    onTestFinished(() => client.close());
    const path = `${new URL(fleet.url).pathname}/documents/freezes`;
    await client.create(path);
    await client.restrict(path, 2);
    const node = fleet.node("web-01", {});
    expect((await node.run("acquire", "db")).code).toBe(77);
    expect((await node.run("exec", "db", "--", "true")).code).toBe(77);
    expect(await fleet.queue("db")).toEqual([]);
  });

  test("a store that is cut off while a waiter is frozen is no thaw: the waiter goes on when it is back and thawed", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const settings = { connect_timeout: "1 s", session_timeout: "30 s" };
    const node = fleet.node("web-01", {}, { coordinator: fleet.urlThrough(proxy), settings });
    const admin = fleet.node("admin", {});
    const id = await freeze(admin);
    const waiting = node.start("acquire", "db", "--wait", "none");
    await until(() => waiting.stderr().includes("waiting for the thaw"), "the waiter to hear of the freeze");
    await proxy.welcome("refuse");
    await proxy.cut();
    await thaw(admin, id);
    expect(await fleet.queue("db")).toMatchObject([{ durable: false }]);
    await proxy.welcome("serve");
    expect((await waiting.ended).code).toBe(0);
  });
});
