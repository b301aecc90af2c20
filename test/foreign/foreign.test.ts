// Foreign clients on Holdline's locks: kazoo's Lock and Curator's mutex take turns with claims of every kind, a durable claim keeps them
// out, and Holdline lists them. Holdline understands Curator's read/write lock, and a test shows what that lock does not understand. kazoo
// and Curator never share a path: Curator sorts kazoo's names wrongly (docs/design.md, Layout in ZooKeeper).
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { openCoordinator } from "../../src/coordinators/registry.js";
import { openHoldline } from "../../src/index.js";
import type { Claim, Owner } from "../../src/locks/claim.js";
import type { Coordinator, Draft } from "../../src/locks/coordinator.js";
import { isHeld } from "../../src/locks/rule.js";
import { takeTurn } from "../../src/line/turn.js";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient } from "../support/plain-client.js";
import { until } from "../support/wait.js";
import { type Fleet, isRunning, openFleet } from "../e2e/fleet.js";
import { findForeignClient, ForeignProgram } from "./foreign.js";

failOnLeaks();

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const OPTIONS = { connectTimeoutMs: 20_000, sessionTimeoutMs: 10_000, historyKeep: 10, sleepTimeMs: 20, log: SILENT };

// The node's session lasts 4 s, and the server checks at every tick.
const EXPIRY_MS = 15_000;

// The contenders and their turns: twenty contenders, five hundred turns. Programs that start anew for each turn have fewer, because a
// start costs as much as ten turns.
const TURNS = { foreign: [9, 25], ephemeral: [4, 30], durable: [4, 30], run: [2, 12], exec: [1, 11] } as const;
const ALL_TURNS = Object.values(TURNS).reduce((sum, [count, turns]) => sum + count * turns, 0);

const LOCK = "restart/nginx";

const clients = { kazoo: await findForeignClient("kazoo"), curator: await findForeignClient("curator") };
for (const [name, client] of Object.entries(clients)) {
  if ("missing" in client) console.log(`skipped: the tests with ${name}: ${client.missing}`);
}

describe.each(["kazoo", "curator"] as const)("%s", (name) => {
  const client = clients[name];
  let program: ForeignProgram;
  // One for all tests, because Java takes seconds to start.
  beforeAll(() => {
    if (!("missing" in client)) program = new ForeignProgram(client);
  });
  afterAll(() => program?.close());

  test.skipIf("missing" in client)(
    "twenty contenders take five hundred turns on one path, with Holdline's of every kind",
    async () => {
      const fleet = await openFleet("zookeeper");
      const turns = new Map<string, number>();
      const named = (kind: keyof typeof TURNS): string[] => {
        const [count, each] = TURNS[kind];
        const names = Array.from({ length: count }, (_, index) => `${kind}-${index}`);
        for (const contender of names) turns.set(contender, each);
        return names;
      };
      // Nobody begins before everyone stands in line.
      const gate = await openGate(fleet);
      const taking = Promise.all([
        program.takeTurns(pathOf(fleet), fleet.log, TURNS.foreign[1], named("foreign")),
        ...named("ephemeral").map((contender) => takeEphemeralTurns(fleet, contender)),
        ...named("durable").map((contender) => takeDurableTurns(fleet, contender)),
        ...named("run").map((contender) => takeTurnsByRunning(fleet, contender)),
        ...named("exec").map((contender) => takeTurnsByExec(fleet, contender)),
      ]);
      await Promise.race([fleet.untilQueue(LOCK, turns.size + 1), taking]);
      await gate.open();
      await taking;
      const lines = fleet.lines();
      expect(ALL_TURNS).toBe(500);
      expect(overlapsAmong(lines)).toEqual([]);
      expect(countTurns(lines)).toEqual(turns);
      // First come, first served, for either kind: nobody's second turn comes before everybody's first.
      expect(new Set(lines.slice(0, 2 * turns.size).map(nameIn))).toEqual(new Set(turns.keys()));
      expect(changesOfKind(lines), "how often the lock went from one world to the other").toBeGreaterThan(20);
      expect(await fleet.queue(LOCK)).toEqual([]);
    },
  );

  test.skipIf("missing" in client)("its contenders are listed for what they are", async () => {
    const fleet = await openFleet("zookeeper");
    await program.acquire(pathOf(fleet), "listed-1").held;
    const second = program.acquire(pathOf(fleet), "listed-2");
    await fleet.untilQueue(LOCK, 2);
    const node = fleet.node("web-01", { restart: { command: ["true"], lock: LOCK } });
    const agent = node.start("run", "restart");
    const queue = await fleet.untilQueue(LOCK, 3);
    expect(queue.map((claim) => [claim.durable, claim.alive, claim.slots, claim.key])).toEqual(
      Array(3).fill([false, true, 1, null]),
    );
    // kazoo writes its given name into its znode, Curator the machine's address.
    const [who] = queue.map(({ owner }) => owner.node) as [string];
    if (name === "kazoo") expect(queue.map(({ owner }) => owner.node)).toEqual(["listed-1", "listed-2", "web-01"]);
    else expect(who).toMatch(/^[\d.]+$|^[\da-f:]+$/);

    const { locks } = JSON.parse((await node.run("locks", "--json")).stdout) as { locks: unknown[] };
    const foreign = {
      durable: false,
      key: null,
      slots: 1,
      owner: { principal: "foreign client", action: null, pid: null },
      failure: null,
    };
    expect(locks).toMatchObject([
      {
        lock: LOCK,
        holders: [{ ...foreign, id: queue[0]?.ref, state: "held", condition: "running", fencingToken: null }],
        waiting: [
          { ...foreign, id: queue[1]?.ref, state: "waiting", condition: "waiting" },
          { state: "waiting", owner: { node: "web-01", action: "restart" } },
        ],
      },
    ]);
    const shown = (await node.run("locks")).stdout;
    expect(shown).toMatch(new RegExp(`${LOCK} +held +${who} +another program +.* +foreign client +running`));
    // A waiter learns whom it waits for.
    await until(
      () => agent.stderr().includes("foreign client") || agent.stderr().includes(who),
      "the waiting agent to say behind whom it waits",
    );

    await program.release("listed-1");
    await second.held;
    await program.release("listed-2");
    expect((await agent.ended).code).toBe(0);
  });

  test.skipIf("missing" in client)("a durable claim keeps it out after its agent was killed and its session is gone", async () => {
    const fleet = await openFleet("zookeeper");
    const go = fleet.signalFile();
    const actions = (shell: string) => ({ restart: { shell, lock: LOCK } });
    const agent = fleet.node("web-01", actions(fleet.waitingShell(go.path))).start("run", "restart");
    await fleet.untilLine("start web-01");
    const foreign = program.acquire(pathOf(fleet), "kept-out");
    await fleet.untilQueue(LOCK, 2);
    agent.kill("SIGKILL");
    await agent.ended;
    await until(async () => (await fleet.queue(LOCK))[0]?.alive === false, {
      what: "the agent's session to end",
      deadlineMs: EXPIRY_MS,
    });
    const stale = (await fleet.queue(LOCK))[0] as Claim;
    expect(isRunning(agent.pid)).toBe(false);
    expect(stale).toMatchObject({ durable: true, owner: { node: "web-01" } });

    // Adopting the claim wakes the foreign client, which must find that it is still behind the claim.
    const again = fleet
      .node("web-01", actions(`${fleet.waitingShell(go.path)}; echo "recovered" >> '${fleet.log}'`))
      .start("run", "restart");
    await until(() => fleet.lines().filter((line) => line === "start web-01").length === 2, "the recovered action to run");
    const queue = await fleet.queue(LOCK);
    expect(queue[0]).toMatchObject({ id: stale.id, ref: stale.ref, alive: true });
    expect(queue[1]?.owner.principal).toBe("foreign client");
    expect(program.holds("kept-out"), "the foreign client holds the lock").toBe(false);
    const waiting = foreign.held.then(() => appendFileSync(fleet.log, "foreign\n"));
    go.give();
    expect((await again.ended).code).toBe(0);
    await waiting;
    expect(fleet.lines()).toEqual(["start web-01", "start web-01", "end web-01", "recovered", "foreign"]);
    await program.release("kept-out");
  });

  test.skipIf("missing" in client)("a lock whose path it has made serves durable claims", async () => {
    const fleet = await openFleet("zookeeper");
    await program.acquire(pathOf(fleet), "first").held;
    // Nothing else of Holdline's layout exists yet: the folders of its liveness entries and history are missing.
    const agent = fleet.node("web-01", { restart: { shell: `echo ran >> '${fleet.log}'`, lock: LOCK } }).start("run", "restart");
    await fleet.untilQueue(LOCK, 2);
    await program.release("first");
    expect((await agent.ended).code).toBe(0);
    expect(fleet.lines()).toEqual(["ran"]);
    expect(await (await fleet.coordinator()).history(LOCK, 5)).toMatchObject([{ event: "released", owner: { node: "web-01" } }]);
  });

  test.skipIf("missing" in client)(
    "a path that has vanished with its last claim is made again, by it and by Holdline",
    async () => {
      const fleet = await openFleet("zookeeper");
      const zookeeper = await openPlainClient(inject("zookeeper"));
      onTestFinished(() => zookeeper.close());
      // As the server does with an empty container.
      const vanish = async (): Promise<void> => {
        for (const path of [pathOf(fleet), pathOf(fleet).replace(/\/[^/]*$/, "")]) await zookeeper.remove(path);
      };
      const node = fleet.node("web-01", { restart: { shell: `echo ran >> '${fleet.log}'`, lock: LOCK } });
      expect((await node.run("run", "restart")).code).toBe(0);
      await vanish();
      await program.acquire(pathOf(fleet), "made").held;
      const agent = node.start("run", "restart");
      await fleet.untilQueue(LOCK, 2);
      await program.release("made");
      expect((await agent.ended).code).toBe(0);
      await vanish();
      expect((await node.run("run", "restart")).code).toBe(0);
      await program.acquire(pathOf(fleet), "found").held;
      expect((await fleet.queue(LOCK)).map(({ owner }) => owner.principal)).toEqual(["foreign client"]);
      await program.release("found");
      expect(fleet.lines()).toEqual(["ran", "ran", "ran"]);
    },
  );

  if (name === "kazoo") return;

  describe("its read/write lock", () => {
    test.skipIf("missing" in client)(
      "readers share, a writer is alone, and Holdline waits for all that stand before it",
      async () => {
        const fleet = await openFleet("zookeeper");
        const path = pathOf(fleet);
        await program.acquire(path, "reader-1", "read").held;
        await program.acquire(path, "reader-2", "read").held;
        const writer = program.acquire(path, "writer", "write");
        await fleet.untilQueue(LOCK, 3);
        const agent = fleet
          .node("web-01", { restart: { shell: `echo ran >> '${fleet.log}'`, lock: LOCK } })
          .start("run", "restart");
        const queue = await fleet.untilQueue(LOCK, 4);
        expect(queue.map((_, position) => isHeld(queue, position))).toEqual([true, true, false, false]);
        expect(queue.map(({ owner, key }) => [owner.principal, key])).toEqual([
          ["foreign client", "foreign readers"],
          ["foreign client", "foreign readers"],
          ["foreign client", null],
          ["ops@web-01", null],
        ]);

        await program.release("reader-1");
        expect((await fleet.untilQueue(LOCK, 3)).map(({ owner }) => owner.node)).toContain("web-01");
        expect(program.holds("writer"), "the writer holds it beside a reader").toBe(false);
        await program.release("reader-2");
        await writer.held;
        const behindWriter = await fleet.untilQueue(LOCK, 2);
        expect(behindWriter.map(({ durable }) => durable)).toEqual([false, false]);
        expect(fleet.lines()).toEqual([]);
        await program.release("writer");
        expect((await agent.ended).code).toBe(0);
        expect(fleet.lines()).toEqual(["ran"]);
      },
    );

    // Its sorting knows only __READ__ and __WRIT__: "_c_…-lock-0000000000" sorts behind every number, so a writer sees all of Holdline's
    // claims behind itself, and a reader looks only at writers. Curator's own mutex on that path suffers the same. No name can suit both
    // recipes: each takes the text behind its own word for the number.
    test.skipIf("missing" in client).each(["read", "write"] as const)(
      "a %s lock does not wait for Holdline: they must not share a path",
      async (kind) => {
        const fleet = await openFleet("zookeeper");
        const go = fleet.signalFile();
        const agent = fleet.node("web-01", { restart: { shell: fleet.waitingShell(go.path), lock: LOCK } }).start("run", "restart");
        await fleet.untilLine("start web-01");
        const holder = `beside-${kind}`;
        await program.acquire(pathOf(fleet), holder, kind).held;
        expect(fleet.lines()).toEqual(["start web-01"]);
        // By the rule it waits, and Holdline shows it so. Holdline cannot know that it acts all the same.
        const queue = await fleet.queue(LOCK);
        expect(queue.map((_, position) => isHeld(queue, position))).toEqual([true, false]);
        await program.release(holder);
        go.give();
        expect((await agent.ended).code).toBe(0);
      },
    );
  });
});

/** The path in ZooKeeper at which a foreign client finds the lock. */
function pathOf(fleet: Fleet): string {
  return `${new URL(fleet.url.replace("zookeeper:", "http:")).pathname}/locks/${LOCK}`;
}

/** Holds the lock until it is opened. */
async function openGate(fleet: Fleet): Promise<{ open(): Promise<void> }> {
  const coordinator = await fleet.coordinator();
  const turn = await takeTurn(coordinator, draftOf("gate", false), { signal: new AbortController().signal });
  if (turn.outcome !== "granted") throw new Error("the claim left the line");
  return { open: () => coordinator.withdraw(turn.joined.positions) };
}

function draftOf(node: string, settles: boolean): Draft {
  const owner: Owner = { node, principal: "test", action: null, process: null };
  return { id: randomUUID(), locks: [LOCK], key: null, slots: 1, owner, reason: null, data: null, settles, lease: null };
}

async function takeEphemeralTurns(fleet: Fleet, name: string): Promise<void> {
  const holdline = await openHoldline(fleet.url, {
    node: name,
    connectTimeoutMs: OPTIONS.connectTimeoutMs,
    sessionTimeoutMs: OPTIONS.sessionTimeoutMs,
  });
  try {
    for (let turn = 0; turn < TURNS.ephemeral[1]; turn += 1) {
      await holdline.withLock(LOCK, {}, async () => {
        appendFileSync(fleet.log, `start ${name}\n`);
        // A round trip to the store leaves room for a second turn to show itself.
        await holdline.locks();
        appendFileSync(fleet.log, `end ${name}\n`);
      });
    }
  } finally {
    await holdline.close();
  }
}

async function takeDurableTurns(fleet: Fleet, name: string): Promise<void> {
  const coordinator = await openCoordinator(fleet.url, OPTIONS);
  try {
    for (let turn = 0; turn < TURNS.durable[1]; turn += 1) await takeDurableTurn(coordinator, fleet.log, name);
  } finally {
    await coordinator.close();
  }
}

async function takeDurableTurn(coordinator: Coordinator, log: string, name: string): Promise<void> {
  const draft = draftOf(name, true);
  const turn = await takeTurn(coordinator, draft, { signal: new AbortController().signal });
  if (turn.outcome !== "granted") throw new Error("the claim left the line");
  const { owner, key, slots, reason, data, lease } = draft;
  const record = { owner, key, slots, reason, data, lease, made: null, expiresAt: null, failure: null };
  const { entries } = await coordinator.settle(draft, turn.joined, record);
  appendFileSync(log, `start ${name}\n`);
  await coordinator.sync();
  appendFileSync(log, `end ${name}\n`);
  await coordinator.leave(draft.id, entries, { event: "released", by: "test", reason: null });
}

async function takeTurnsByRunning(fleet: Fleet, name: string): Promise<void> {
  const node = fleet.node(name, { restart: { shell: bothLines(fleet, name), lock: LOCK } });
  for (let turn = 0; turn < TURNS.run[1]; turn += 1) expectSuccess(await node.run("run", "restart"));
}

async function takeTurnsByExec(fleet: Fleet, name: string): Promise<void> {
  const node = fleet.node(name, {});
  for (let turn = 0; turn < TURNS.exec[1]; turn += 1)
    expectSuccess(await node.run("exec", LOCK, "--", "sh", "-c", bothLines(fleet, name)));
}

function bothLines(fleet: Fleet, name: string): string {
  return `echo 'start ${name}' >> '${fleet.log}'; echo 'end ${name}' >> '${fleet.log}'`;
}

function expectSuccess({ code, stderr }: { readonly code: number | null; readonly stderr: string }): void {
  expect(code, stderr).toBe(0);
}

/** The starts before the previous turn's end, and the ends of another turn than the last one that started. */
function overlapsAmong(lines: readonly string[]): string[] {
  let running: string | null = null;
  return lines.flatMap((line, index) => {
    const [what, who] = line.split(" ") as [string, string];
    const right = what === "start" ? running === null : running === who;
    const problem = `line ${index + 1}: ${line} while ${running ?? "nobody"} had it`;
    running = what === "start" ? who : null;
    return right ? [] : [problem];
  });
}

function countTurns(lines: readonly string[]): Map<string, number> {
  const taken = new Map<string, number>();
  for (const line of lines) {
    const [what, who] = line.split(" ") as [string, string];
    if (what === "end") taken.set(who, (taken.get(who) ?? 0) + 1);
  }
  return taken;
}

function nameIn(line: string): string {
  return line.slice(line.indexOf(" ") + 1);
}

/** How often the lock passed between a foreign contender and one of Holdline's. */
function changesOfKind(lines: readonly string[]): number {
  const foreign = lines.filter((line) => line.startsWith("start ")).map((line) => line.startsWith("start foreign-"));
  return foreign.filter((kind, index) => index > 0 && kind !== foreign[index - 1]).length;
}
