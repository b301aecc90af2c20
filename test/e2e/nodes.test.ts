// What runs tell the fleet of their nodes, and what people see of it: nodes, rollout, pending; and slots in percent of a group.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { decodeMembership, encodeMembership } from "../../src/fleet/membership.js";
import { decodeNode, documentOfNode, encodeNode, type NodeDocument } from "../../src/fleet/node.js";
import { mentions } from "../support/fault-proxy.js";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient } from "../support/plain-client.js";
import { until } from "../support/wait.js";
import { Opcode, opcodeName } from "../support/zookeeper-frames.js";
import { type Fleet, openFleet, openProxy, STORES } from "./fleet.js";

failOnLeaks();

const DAY_MS = 86_400_000;
const WEB = { settings: { group: "web" } };

async function documentOf(fleet: Fleet, node: string): Promise<NodeDocument> {
  const document = await (await fleet.coordinator()).document(documentOfNode(node));
  const read = document === null ? null : decodeNode(document.value);
  if (read === null) throw new Error(`the store knows no node ${node}`);
  return read;
}

async function revisionOf(fleet: Fleet, node: string): Promise<number> {
  return (await (await fleet.coordinator()).document(documentOfNode(node)))?.revision ?? 0;
}

/** Writes a node's document over whatever is there, as another run of that node does. */
async function plant(fleet: Fleet, node: string, changes: Partial<NodeDocument> = {}): Promise<void> {
  const store = await fleet.coordinator();
  const before = await store.document(documentOfNode(node));
  const { ms } = await store.sync();
  const said: NodeDocument = { node, group: "web", machine: null, seenAt: ms, version: "0.2.0", actions: {}, ...changes };
  expect(await store.writeDocument(documentOfNode(node), encodeNode(said), before?.revision ?? 0)).toBe("done");
}

// Open for a minute, in three days: whenever this is read, not now.
const FAR_DAY = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][(new Date().getUTCDay() + 3) % 7];
const SHUT = {
  blocked: { command: ["true"], blockers: [{ command: ["false"] }] },
  "outside its windows": { command: ["true"], windows: [{ days: [FAR_DAY], start: "12:00", for: "1 min", zone: "UTC" }] },
  "not now": { command: ["sh", "-c", "exit 75"], not_now: [75] },
};

const TIMED_OUT = { outcome: "timed-out", ranMs: null } as const;

describe.each(STORES)("on %s", (kind) => {
  test("a run tells with the end of its claim what became of it, a failure and a timeout tell it afterwards", async () => {
    const fleet = await openFleet(kind);
    const actions = { good: { command: ["true"] }, bad: { command: ["false"] }, stuck: { lock: "bad", command: ["true"] } };
    const node = fleet.node("web-01", actions, { settings: { group: "web", acquire: { timeout: 0 } } });
    const before = (await (await fleet.coordinator()).sync()).ms;
    expect((await node.run("run", "--all")).code).toBe(4);
    const { actions: told, seenAt, ...about } = await documentOf(fleet, "web-01");
    expect(about).toMatchObject({ node: "web-01", group: "web", version: expect.stringMatching(/^\d/) as string });
    expect(about.machine === null).toBe(kind === "sqlite");
    expect(told).toMatchObject({
      good: { lock: "good", outcome: "ran", ranMs: expect.any(Number) as number, message: "", pendingSince: null },
      bad: { lock: "bad", outcome: "failed", message: "exit code 1; the lock bad is kept", pendingSince: null },
      stuck: { lock: "bad", ...TIMED_OUT, message: expect.stringContaining("FAILED on web-01") as string },
    });
    const { wishedAt, at, ranMs } = told["good"] as NonNullable<(typeof told)[string]>;
    expect(wishedAt).toBeGreaterThanOrEqual(before);
    expect(at - wishedAt).toBeGreaterThanOrEqual(ranMs ?? 0);
    expect(seenAt).toBe(told["stuck"]?.at);
    expect(told["stuck"]?.pendingSince).toBe(told["stuck"]?.wishedAt);
  });

  test("what would say the same again is not told again; anything new is", async () => {
    const fleet = await openFleet(kind);
    const actions = { bad: { command: ["false"] }, stuck: { lock: "bad", command: ["true"] }, ...SHUT };
    const options = { settings: { group: "web", acquire: { timeout: 0 } } };
    const node = fleet.node("web-01", actions, options);
    await node.run("run", "bad");
    expect((await node.runAction("stuck")).code).toBe(75);
    const first = await revisionOf(fleet, "web-01");
    const since = (await documentOf(fleet, "web-01")).actions["stuck"]?.pendingSince;
    expect((await node.runAction("stuck")).result.attempts).toBe(2);
    expect(await revisionOf(fleet, "web-01")).toBe(first);
    for (const name of Object.keys(SHUT)) {
      expect((await node.runAction(name)).result.attempts).toBe(1);
      const told = await revisionOf(fleet, "web-01");
      expect((await node.runAction(name)).result.attempts).toBe(2);
      expect(await revisionOf(fleet, "web-01"), `an attempt more at what is ${name} is no news`).toBe(told);
    }
    // The group is another one: that is news, and the wish still waits since then.
    fleet.node("web-01", actions, { settings: { ...options.settings, group: "edge" } });
    expect((await node.runAction("stuck")).code).toBe(75);
    const moved = await documentOf(fleet, "web-01");
    expect(moved.group).toBe("edge");
    expect(moved.actions["stuck"]?.pendingSince).toBe(since);
  });

  test("two runs on one node at once: neither loses what the other has told", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const slow = { shell: fleet.waitingShell(go.path) };
    const node = fleet.node("web-01", { slow, quick: { command: ["true"] } }, WEB);
    const running = node.start("run", "slow");
    await fleet.untilLine("start web-01");
    // The other one begins after the first has read the document, and ends before the first does.
    expect((await node.runAction("quick")).code).toBe(0);
    go.give();
    expect((await running.ended).code).toBe(0);
    expect(await documentOf(fleet, "web-01")).toMatchObject({ actions: { slow: { outcome: "ran" }, quick: { outcome: "ran" } } });
  });

  test("an agent that is killed while its action runs has told nothing; resume tells it, with the old wish", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const node = fleet.node("web-01", { slow: { shell: fleet.waitingShell(go.path) } }, WEB);
    await plant(fleet, "web-01", {
      actions: { slow: { lock: "slow", ...TIMED_OUT, at: 2, message: "", wishedAt: 1, pendingSince: 1 }, gone: GONE },
    });
    const running = node.start("run", "slow");
    await fleet.untilLine("start web-01");
    running.kill("SIGKILL");
    await running.ended;
    expect((await documentOf(fleet, "web-01")).actions["slow"]?.outcome).toBe("timed-out");
    go.give();
    const resumed = await until(
      async () => {
        const { results } = JSON.parse((await node.run("resume", "--json")).stdout) as { results: { outcome: string }[] };
        return results[0] ?? null;
      },
      { what: "the claim to be stale and to be resumed", deadlineMs: 50_000 },
    );
    expect(resumed.outcome).toBe("ran");
    const { actions } = await documentOf(fleet, "web-01");
    expect(actions).toMatchObject({ slow: { outcome: "ran", wishedAt: 1, pendingSince: null } });
    expect(Object.keys(actions), "what is no longer declared is not told of").toEqual(["slow"]);
  });

  test("a document that is garbage is written anew, and keeps no claim", async () => {
    const fleet = await openFleet(kind);
    const store = await fleet.coordinator();
    await store.writeDocument(documentOfNode("web-01"), "garbage", 0);
    const node = fleet.node("web-01", { good: { command: ["true"] } }, WEB);
    expect((await node.runAction("good")).code).toBe(0);
    expect(await documentOf(fleet, "web-01")).toMatchObject({ group: "web", actions: { good: { outcome: "ran" } } });
    expect(await fleet.queue("good")).toEqual([]);
  });

  test("nodes lists them by group, and forgets one with the count of its group", async () => {
    const fleet = await openFleet(kind);
    const store = await fleet.coordinator();
    const node = fleet.node("web-01", { good: { command: ["true"] } }, WEB);
    expect((await node.run("nodes")).stdout).toBe("no node has been seen\n");
    await node.runAction("good");
    await plant(fleet, "db-01", { group: "db" });
    await store.writeDocument("membership/db", encodeMembership({ group: "db", count: 7, countedAt: 1 }), 0);
    const listed = async (...args: string[]) => {
      const { code, stdout } = await node.run("nodes", "--json", ...args);
      return { code, nodes: (JSON.parse(stdout) as { nodes: { node: string }[] }).nodes.map(({ node: name }) => name) };
    };
    expect(await listed()).toEqual({ code: 0, nodes: ["db-01", "web-01"] });
    expect(await listed("--group", "web")).toEqual({ code: 0, nodes: ["web-01"] });
    expect(await listed("--group", "none")).toEqual({ code: 1, nodes: [] });
    expect((await node.run("nodes")).stdout).toMatch(/^NODE +GROUP[^]*\nweb-01 +web +\S.* good +ran +/m);
    expect((await node.run("nodes", "--forget", "db-01")).stdout).toContain("forgot db-01");
    expect(await store.document("membership/db")).toBeNull();
    expect(await listed()).toEqual({ code: 0, nodes: ["web-01"] });
    expect(await node.run("nodes", "--forget", "db-01")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no node") as string,
    });
  });

  test("rollout shows who is done, runs, waits, has failed and is pending; a script of others' names harms no terminal", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const declared = (shell: string) => ({ deploy: { lock: "deploy", slots: 2, shell } });
    const node = (name: string, shell: string, timeout = "60 s") =>
      fleet.node(name, declared(shell), { settings: { group: "web", acquire: { timeout } } });
    expect((await node("done", "true").runAction("deploy")).code).toBe(0);
    expect((await node("broken", "echo no; exit 3").runAction("deploy")).code).toBe(4);
    const running = node("running", fleet.waitingShell(go.path)).start("run", "deploy");
    await fleet.untilLine("start running");
    expect((await node("late", "true", "0").runAction("deploy")).code).toBe(75);
    const waiting = node("waiting", "true").start("run", "deploy");
    await fleet.untilQueue("deploy", 3);
    await plant(fleet, "never\u001b[2J");
    const admin = fleet.node("admin", {}, WEB);
    const { stdout, code } = await admin.run("rollout", "deploy", "--json");
    const { each, ...counts } = JSON.parse(stdout) as Record<string, unknown> & { each: { node: string; state: string }[] };
    expect(code).toBe(0);
    expect(counts).toMatchObject({
      ...{ action: "deploy", group: "web", nodes: 6, done: 1, running: 1, waiting: 1, failed: 1, pending: 1, notYet: 1 },
      etaMs: expect.any(Number) as number,
    });
    expect(Object.fromEntries(each.map(({ node: name, state }) => [name, state]))).toEqual({
      ...{ done: "done", broken: "failed", running: "running", late: "pending", waiting: "waiting" },
      "never\u001b[2J": "notYet",
    });
    const text = (await admin.run("rollout", "deploy")).stdout;
    expect(text).toMatch(
      /^deploy in group web, since .*\n\[=+!+>+\.+\] 16 %\n1 of 6 nodes are done, 1 failed, 1 running, 1 pending, /,
    );
    expect(text).toMatch(/^failed +broken +\S.* exit code 3$/m);
    expect(text).not.toContain("\u001b");
    expect((await admin.run("rollout", "deploy", "--group", "db")).code).toBe(1);
    expect((await admin.run("rollout", "nothing", "--json")).stdout).toContain('"nothing-there"');
    const watch = admin.start("rollout", "deploy", "--watch", "--json");
    await until(() => watch.stdout().includes('"running":1'), "the first look");
    go.give();
    expect((await running.ended).code).toBe(0);
    expect((await waiting.ended).code).toBe(0);
    await until(() => watch.stdout().trimEnd().split("\n").at(-1)?.includes('"done":3') === true, "three that are done");
    watch.kill("SIGINT");
    expect((await watch.ended).code).toBe(130);
  });

  test("pending shows attempts and what was left, and takes attempts back", async () => {
    const fleet = await openFleet(kind);
    const actions = { bad: { command: ["false"] }, stuck: { lock: "bad", command: ["true"] } };
    const node = fleet.node("web-01", actions, { settings: { group: "web", acquire: { timeout: 0 } } });
    expect((await node.run("pending")).stdout).toBe("nothing is pending on this node\n");
    await node.run("run", "--all");
    await node.run("run", "stuck");
    const pending = async () => (JSON.parse((await node.run("pending", "--json")).stdout) as { pending: object[] }).pending;
    const { pendingSince } = (await documentOf(fleet, "web-01")).actions["stuck"] ?? {};
    expect(await pending()).toEqual([
      expect.objectContaining({ action: "bad", lock: "bad", state: "failed", attempts: null, message: "exit code 1" }),
      expect.objectContaining({
        ...{ action: "stuck", lock: "bad", state: "pending", claim: null, attempts: 2 },
        since: new Date(pendingSince ?? 0).toISOString(),
        message: expect.stringMatching(/^timed out: /) as string,
      }),
    ]);
    expect((await node.run("pending", "--drop", "stuck")).stdout).toBe("took back 2 attempts at stuck\n");
    expect((await documentOf(fleet, "web-01")).actions["stuck"]?.pendingSince).toBeNull();
    expect(await pending()).toHaveLength(1);
    expect((await node.run("pending", "--drop", "stuck")).code).toBe(1);
    // The next attempt is news again, though it says what the last one did.
    await node.run("run", "stuck");
    expect((await documentOf(fleet, "web-01")).actions["stuck"]?.pendingSince).not.toBeNull();
  });

  test("slots in percent are of the group's nodes that were seen lately, and kept for a while", async () => {
    const fleet = await openFleet(kind);
    const store = await fleet.coordinator();
    const go = fleet.signalFile();
    const deploy = { slots: "10%", shell: fleet.waitingShell(go.path) };
    const slotsOf = async (name: string) => {
      const running = fleet.node(name, { deploy: { ...deploy, lock: name } }, WEB).start("run", "deploy");
      await fleet.untilLine(`start ${name}`);
      const [claim] = await fleet.queue(name);
      const { stdout } = await fleet.node("admin", {}).run("locks", name, "--json", "-v");
      const { locks } = JSON.parse(stdout) as { locks: { holders: { slots: number; percent: number }[] }[] };
      expect(locks[0]?.holders[0]).toMatchObject({ slots: claim?.slots, percent: claim?.percent });
      return { slots: claim?.slots, percent: claim?.percent, running };
    };
    const alone = await slotsOf("web-first");
    expect(alone).toMatchObject({ slots: 1, percent: 10 });
    expect((await fleet.node("admin", {}).run("locks", "web-first")).stdout).toContain("slots 1 (10 % of web)");
    const { ms } = await store.sync();
    for (let index = 1; index < 20; index += 1) await plant(fleet, `web-${index}`);
    for (let index = 1; index < 20; index += 1) await plant(fleet, `old-${index}`, { seenAt: ms - 8 * DAY_MS });
    for (let index = 1; index < 20; index += 1) await plant(fleet, `db-${index}`, { group: "db" });
    const kept = async (countedAt: number, count: number) => {
      const before = await store.document("membership/web");
      const value = encodeMembership({ group: "web", count, countedAt });
      expect(await store.writeDocument("membership/web", value, before?.revision ?? 0)).toBe("done");
    };
    // A count of a few nodes is believed for seconds at most, and this one is of yesterday.
    await kept(ms - DAY_MS, 100_000);
    const counted = await slotsOf("web-second");
    expect(counted).toMatchObject({ slots: 2, percent: 10 });
    const document = await store.document("membership/web");
    expect(decodeMembership(document?.value ?? "", "web")).toMatchObject({ count: 20 });
    await kept(ms, 100_000);
    const believed = await slotsOf("web-third");
    expect(believed).toMatchObject({ slots: 10_000 });
    go.give();
    for (const { running } of [alone, counted, believed]) expect((await running.ended).code).toBe(0);
  });
});

const GONE = { lock: "gone", outcome: "ran", at: 1, ranMs: 1, message: "", wishedAt: 1, pendingSince: null };

// After the frame's length and the request's number.
const OPCODE_AT = 8;

describe("on ZooKeeper", () => {
  test("credentials that may not write documents end their claims all the same", async () => {
    const fleet = await openFleet("zookeeper");
    const plain = await openPlainClient(inject("zookeeper"));
    onTestFinished(() => plain.close());
    const root = new URL(fleet.url).pathname;
    await plain.create(`${root}/documents`);
    // Without this one no claim could settle: it is what settling checks.
    await plain.create(`${root}/documents/freezes`);
    await plain.restrict(`${root}/documents`, 1);
    const node = fleet.node("web-01", { good: { command: ["true"], slots: "10%" } }, WEB);
    expect(await node.runAction("good")).toMatchObject({ code: 0, result: { outcome: "ran" } });
    expect(await fleet.queue("good")).toEqual([]);
    expect((await node.run("nodes")).stdout).toBe("no node has been seen\n");
  });

  test("of a fleet that finds at once that somebody has to count, one node counts, and the others go by the last count", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const store = await fleet.coordinator();
    const count = { group: "web", count: 50, countedAt: (await store.sync()).ms - DAY_MS };
    expect(await store.writeDocument("membership/web", encodeMembership(count), 0)).toBe("done");
    const go = fleet.signalFile();
    const start = (name: string, coordinator: string) =>
      fleet.node(name, { deploy: { lock: name, slots: "10%", shell: fleet.waitingShell(go.path) } }, { ...WEB, coordinator });
    const listing = proxy.holdRequest({ operation: Opcode.getChildren, where: mentions("/documents") });
    const first = start("first", fleet.urlThrough(proxy)).start("run", "deploy");
    await listing.caught;
    const second = start("second", fleet.url).start("run", "deploy");
    await fleet.untilLine("start second");
    expect(await fleet.queue("second")).toMatchObject([{ slots: 5, percent: 10 }]);
    listing.release();
    await fleet.untilLine("start first");
    expect(await fleet.queue("first")).toMatchObject([{ slots: 1, percent: 10 }]);
    const kept = await store.document("membership/web");
    expect(decodeMembership(kept?.value ?? "", "web")?.count).toBe(1);
    go.give();
    expect([(await first.ended).code, (await second.ended).code]).toEqual([0, 0]);
  });

  test("the note costs a run one read, and a timer that finds the same again nothing", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const actions = { good: { command: ["true"] }, bad: { command: ["false"] }, stuck: { lock: "bad", command: ["true"] } };
    const settings = { group: "web", acquire: { timeout: 0 } };
    const node = fleet.node("web-01", actions, { coordinator: fleet.urlThrough(proxy), settings });
    const asked: string[] = [];
    // Matches nothing, and so sees every request.
    const noteDocuments = (frame: Buffer): boolean => {
      if (frame.includes("/documents/nodes")) asked.push(opcodeName(frame.readInt32BE(OPCODE_AT)));
      return false;
    };
    void proxy.seen({ operation: Object.values(Opcode), where: noteDocuments });
    const askedBy = async (action: string) => {
      asked.length = 0;
      await node.run("run", action);
      return [...asked];
    };
    await node.run("run", "--all");
    expect(await askedBy("good"), "one read, and with the claim's end one more step").toEqual(["getData", "multi"]);
    expect(await askedBy("stuck")).toEqual([]);
  });
});
