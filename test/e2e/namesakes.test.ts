// Machines of one name on a shared store: what each may do about the other's claims, and what people see. The test makes the other
// machine's claims itself, in a session that lives as long as the test lets it.
import { randomUUID } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { openCoordinator } from "../../src/coordinators/registry.js";
import type { Claim, Owner } from "../../src/locks/claim.js";
import type { Coordinator, CoordinatorOptions, Draft } from "../../src/locks/coordinator.js";
import { takeTurn } from "../../src/line/turn.js";
import { failOnLeaks } from "../support/leaks.js";
import type { Fleet } from "./fleet.js";
import { openFleet } from "./fleet.js";

failOnLeaks();

const ANOTHER = `${"a".repeat(16)}.${"a".repeat(16)}.${"a".repeat(16)}`;
/** Of one image with this machine, as far as can be told: nothing is known of it that this machine has too, or has otherwise. */
const UNTOLD = `-.-.${"b".repeat(16)}`;
const MACHINES = [
  ["that differs in every part", ANOTHER],
  ["that may be this one", UNTOLD],
] as const;

const silent = () => undefined;
const OPTIONS: CoordinatorOptions = {
  connectTimeoutMs: 10_000,
  sessionTimeoutMs: 8_000,
  historyKeep: 100,
  sleepTimeMs: 20,
  log: { debug: silent, info: silent, warn: silent, error: silent },
};

const FAILURE = { exitCode: 1, signal: null, message: "exit code 1", output: "", at: 0 };

describe.each(MACHINES)("a machine of the same name %s", (_, machine) => {
  test("has failed: its claim is no leftover of this one, which waits in line and says why", async () => {
    const fleet = await openFleet("zookeeper");
    await (await settled(fleet, machine, { failure: FAILURE })).close();
    const node = fleet.node("web-07", { restart: { shell: `echo ran >> '${fleet.log}'`, acquire: { timeout: "0.3 s" } } });
    const { code, result } = await node.runAction("restart");
    expect([code, result.outcome]).toEqual([75, "timed-out"]);
    expect(result.message).toContain("FAILED on web-07 (another machine of this name)");
    expect((await node.run("resume")).code).toBe(75);
    expect(fleet.lines()).toEqual([]);
    expect(await fleet.queue("restart")).toMatchObject([{ owner: { machine }, failure: FAILURE }]);
  });

  test("was cut off: that its agent is gone from the store is no reason to take its claim", async () => {
    const fleet = await openFleet("zookeeper");
    await (await settled(fleet, machine)).close();
    const node = fleet.node("web-07", { restart: { shell: `echo ran >> '${fleet.log}'`, acquire: { timeout: "0.3 s" } } });
    expect((await node.runAction("restart")).code).toBe(75);
    expect(fleet.lines()).toEqual([]);
    expect(await fleet.queue("restart")).toMatchObject([{ owner: { machine }, alive: false }]);
  });

  test("has left a claim: people are shown so, an admin ends it, and the wish that waited is done", async () => {
    const fleet = await openFleet("zookeeper");
    await (await settled(fleet, machine, { failure: FAILURE })).close();
    const node = fleet.node("web-07", { restart: { shell: `echo ran >> '${fleet.log}'`, acquire: { timeout: "0.3 s" } } });
    expect((await node.runAction("restart")).code).toBe(75);
    const { stdout } = await node.run("locks");
    expect(stdout).toContain("left by another machine that was called web-07: only an admin ends it");
    expect((await fleet.node("web-08", {}).run("locks")).stdout).not.toContain("another machine");
    expect(JSON.parse((await node.run("locks", "--json")).stdout)).toMatchObject({
      locks: [{ holders: [{ owner: { node: "web-07", machine } }] }],
    });
    expect((await node.run("clear", "restart", "--reason", "reinstalled")).code).toBe(0);
    expect((await node.run("resume")).code).toBe(0);
    expect(fleet.lines()).toEqual(["ran"]);
  });

  test("lives and holds the lock: this one refuses to act, says who is first, and keeps no place", async () => {
    const fleet = await openFleet("zookeeper");
    const coordinator = await settled(fleet, machine);
    const node = fleet.node("web-07", { restart: { shell: `echo ran >> '${fleet.log}'` } });
    for (const args of [["run", "restart"], ["resume"], ["exec", "restart", "--", "true"]]) {
      const { code, stderr } = await node.run(...args);
      expect(code, args.join(" ")).toBe(78);
      expect(stderr).toContain("another machine is called web-07 too, and is at work: it has a claim on restart by ops@web-07");
      expect(stderr).toContain("HOLDLINE_NODE");
    }
    expect(fleet.lines()).toEqual([]);
    expect(await coordinator.queue("restart")).toHaveLength(1);
  });

  test("comes to hold the lock while this one waits: this one leaves the line", async () => {
    const fleet = await openFleet("zookeeper");
    const coordinator = await fleet.coordinator();
    const first = await coordinator.join({ ...draftOf(machine), owner: { ...ownerOf(machine), node: "web-01" } });
    const others = [];
    for (let index = 0; index < 32; index += 1) {
      others.push(await coordinator.join({ ...draftOf(machine), owner: { ...ownerOf(machine), node: `db-${index}` } }));
    }
    const { id } = draftOf(machine);
    await coordinator.join({ ...draftOf(machine), id });
    const waiting = fleet.node("web-07", { restart: { command: ["true"] } }).start("run", "restart");
    await fleet.untilQueue("restart", 35);
    for (const joined of [...others, first]) await coordinator.withdraw(joined.positions);
    expect((await waiting.ended).code).toBe(78);
    expect(await coordinator.queue("restart")).toMatchObject([{ id }]);
  });
});

test("a lease that another machine of this name has taken keeps nobody from queueing", async () => {
  const fleet = await openFleet("zookeeper");
  expect((await fleet.node("web-07", {}).run("acquire", "restart")).code).toBe(0);
  const node = fleet.node("web-07", { restart: { command: ["true"], acquire: { timeout: "0.2 s" } } });
  expect((await node.runAction("restart")).code).toBe(75);
});

test("a claim that this machine left before it was last booted is taken up", async () => {
  const fleet = await openFleet("zookeeper");
  const node = fleet.node("web-07", { restart: { command: ["false"] } });
  await node.runAction("restart");
  const [failed] = (await fleet.queue("restart")) as [Claim];
  expect((await node.run("clear", "restart", "--reason", "test")).code).toBe(0);
  const coordinator = await settled(fleet, failed.owner.machine ?? undefined);
  await coordinator.close();
  const mended = fleet.node("web-07", { restart: { command: ["true"] } });
  expect((await mended.runAction("restart")).result.outcome).toBe("ran");
});

test("a claim of version 0.1, which names no machine, is an admin's after a reboot", async () => {
  const fleet = await openFleet("zookeeper");
  await (await settled(fleet, undefined, { failure: FAILURE })).close();
  const node = fleet.node("web-07", { restart: { command: ["true"], acquire: { timeout: "0.2 s" } } });
  expect((await node.runAction("restart")).code).toBe(75);
  expect((await node.run("clear", "restart", "--reason", "upgraded")).code).toBe(0);
  expect((await node.runAction("restart")).result.outcome).toBe("ran");
});

describe("a machine that nobody has named", () => {
  const settings = { node: "localhost.localdomain" };

  test("is refused by everything that makes claims where others reach the store, with what to set", async () => {
    const fleet = await openFleet("zookeeper");
    const actions = { restart: { shell: `echo ran >> '${fleet.log}'` } };
    const node = fleet.node("unnamed", actions, { settings, coordinator: "zookeeper://zk1.example.com/x" });
    for (const args of [["run", "restart"], ["resume"], ["exec", "l", "--", "true"], ["acquire", "l"], ["lock", "dc01"]]) {
      const { code, stderr } = await node.run(...args);
      expect(code, args.join(" ")).toBe(78);
      expect(stderr).toContain("this node is called localhost.localdomain, as any other may be, and the store is shared");
      expect(stderr).toContain("HOLDLINE_NODE");
    }
    expect(fleet.lines()).toEqual([]);
  });

  test("may use a store that only this machine reaches", async () => {
    for (const kind of ["sqlite", "zookeeper"] as const) {
      const fleet = await openFleet(kind);
      const node = fleet.node("unnamed", { restart: { shell: `echo ran >> '${fleet.log}'` } }, { settings });
      expect((await node.runAction("restart")).code, kind).toBe(0);
    }
  });
});

function ownerOf(machine: string | undefined): Owner {
  const process = { bootId: randomUUID(), pidNamespace: "pid:[4026531836]", pid: 4711, startTicks: 99 };
  return { node: "web-07", principal: "ops@web-07", action: "restart", process, ...(machine === undefined ? {} : { machine }) };
}

function draftOf(machine: string | undefined): Draft {
  const owner = ownerOf(machine);
  return { id: randomUUID(), locks: ["restart"], key: null, slots: 1, owner, reason: null, data: null, settles: true, lease: null };
}

/** A claim of the other machine in hand, and the session that it has. */
async function settled(fleet: Fleet, machine: string | undefined, how: Partial<Claim> = {}): Promise<Coordinator> {
  const coordinator = await openCoordinator(fleet.url, OPTIONS);
  onTestFinished(() => coordinator.close());
  const draft = draftOf(machine);
  const turn = await takeTurn(coordinator, draft, { signal: new AbortController().signal });
  if (turn.outcome !== "granted") throw new Error("the lock was not free");
  const { owner, key, slots, reason, data, lease } = draft;
  const { failure = null } = how;
  const record = { owner, key, slots, reason, data, lease, made: null, expiresAt: null, failure };
  await coordinator.settle(draft, turn.joined, record);
  return coordinator;
}
