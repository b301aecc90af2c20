// Every way in which a run can be cut short, as the table "What happens when" (docs/design.md) has them: what the lock
// does, what the next run does, and what the others see. Interleavings are forced: by files that actions wait for, by a proxy that holds a request, by a
// database that is busy.
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import Database from "libsql";
import { describe, expect, test } from "vitest";
import type { Claim, Owner } from "../../src/locks/claim.js";
import { takeTurn } from "../../src/line/turn.js";
import type { FaultProxy } from "../support/fault-proxy.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { Opcode } from "../support/zookeeper-frames.js";
import type { Cli, Fleet, Node } from "./fleet.js";
import { isRunning, openFleet, openProxy, STORES } from "./fleet.js";

failOnLeaks();

// The node's session has 4 s, and the server looks at every tick.
const EXPIRY_MS = 15_000;

describe.each(STORES)("on %s", (kind) => {
  test("an agent that is killed while it waits does not hold up the line", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const actions = { restart: { shell: fleet.waitingShell(go.path) } };
    const holder = fleet.node("web-01", actions).start("run", "restart");
    await fleet.untilLine("start web-01");
    const waiter = fleet.node("web-02", actions).start("run", "restart");
    await fleet.untilQueue("restart", 2);
    const next = fleet.node("web-03", actions).start("run", "restart");
    await fleet.untilQueue("restart", 3);
    waiter.kill("SIGKILL");
    await waiter.ended;
    go.give();
    expect((await holder.ended).code).toBe(0);
    expect((await next.ended).code).toBe(0);
    expect(fleet.lines()).toEqual(["start web-01", "end web-01", "start web-03", "end web-03"]);
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test("resume does not say that nothing was left where it cannot finish what was", async () => {
    const fleet = await openFleet(kind);
    expect((await fleet.node("web-01", {}).run("acquire", "restart")).code).toBe(0);
    const node = fleet.node("web-02", { restart: { command: ["true"], acquire: { timeout: 0 } } });
    expect((await node.run("run", "restart")).code).toBe(75);
    const { code, stdout } = await fleet.node("web-02", { other: { command: ["true"] } }).run("resume");
    expect(code).toBe(0);
    expect(stdout).toBe("nothing was finished: what was left belongs to actions that are no longer declared (restart)\n");
  });

  test.each(["another user's", "damaged", "gone"])(
    "an orphan is ended before its action runs again although the journal is %s",
    async (how) => {
      const fleet = await openFleet(kind);
      const { node, orphan } = await killedWhileRunning(fleet, {});
      await untilGone(fleet, "restart");
      const journal = `${node.directory}/state/journal`;
      if (how === "damaged") for (const file of runFiles(journal)) writeFileSync(file, "");
      if (how === "gone") rmSync(journal, { recursive: true });
      const env = how === "another user's" ? { HOLDLINE_STATE_DIR: `${fleet.directory}/other-state` } : {};
      const shell = `kill -0 ${orphan} 2>/dev/null && echo beside; echo again >> '${fleet.log}'`;
      const again = fleet.node("web-01", { restart: { shell } }, { env });
      const { code } = await again.runAction("restart");
      expect(code).toBe(0);
      expect(isRunning(orphan), "the orphaned command").toBe(false);
      expect(fleet.lines()).toEqual(["start web-01", "again"]);
    },
  );

  test("an agent that is killed while its action runs leaves the lock stale: nobody else starts, and its node adopts it in place", async () => {
    const fleet = await openFleet(kind);
    const { node, stale, orphan } = await killedWhileRunning(fleet, {});
    await untilGone(fleet, "restart");
    expect(isRunning(orphan), "the orphaned command").toBe(true);

    const other = fleet.node("web-02", { restart: { command: ["true"], acquire: { timeout: "0.3 s" } } });
    const waited = await other.runAction("restart");
    expect(waited.code).toBe(75);
    expect(waited.result.message).toMatch(/web-01: restart for .*, its agent is gone/);

    const again = fleet.node("web-01", { restart: { shell: `echo again >> '${fleet.log}'` } });
    const { code, result } = await again.runAction("restart");
    expect(code, "the adopter's exit code").toBe(0);
    expect(result).toMatchObject({ outcome: "ran", claim: stale.id });
    expect(result.fencingToken).toBeGreaterThan(stale.fencingToken as number);
    expect(isRunning(orphan), "the orphaned command").toBe(false);
    expect(fleet.lines()).toEqual(["start web-01", "again"]);
    expect(await fleet.queue("restart")).toEqual([]);
    expect(await (await fleet.coordinator()).history("restart", 5)).toMatchObject([{ claim: stale.id, event: "recovered" }]);
    expect(node.journal("restart")).toEqual({});
  });

  test("a stale claim is adopted by a waiter of the same node too, as soon as it is stale", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const node = fleet.node("web-01", { restart: { shell: fleet.waitingShell(go.path) } });
    const first = node.start("run", "restart");
    await fleet.untilLine("start web-01");
    const second = fleet.node("web-01", { restart: { shell: `echo second >> '${fleet.log}'` } }).start("run", "restart");
    const [held] = (await fleet.untilQueue("restart", 2)) as [Claim, Claim];
    expect(held.alive).toBe(true);
    first.kill("SIGKILL");
    await first.ended;
    expect((await second.ended).code).toBe(0);
    expect(fleet.lines()).toEqual(["start web-01", "second"]);
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test("with several slots, what was left in each is ended before others may have its place", async () => {
    const fleet = await openFleet(kind);
    const pidFile = `${fleet.directory}/pids`;
    const shell = `echo $$ >> '${pidFile}'; echo "start" >> '${fleet.log}'; sleep 1000`;
    const node = fleet.node("web-01", { restart: { shell, slots: 2 } });
    const agents = [node.start("run", "restart"), node.start("run", "restart")];
    await until(() => fleet.lines().length === 2, "both to run");
    for (const agent of agents) agent.kill("SIGKILL");
    await Promise.all(agents.map(({ ended }) => ended));
    const again = fleet.node("web-01", { restart: { command: ["true"], slots: 2 } });
    expect((await again.runAction("restart")).code).toBe(0);
    for (const pid of readFileSync(pidFile, "utf8").split("\n").filter(Boolean))
      expect(isRunning(Number(pid)), `orphan ${pid}`).toBe(false);
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test("a second run on the same node waits while the first lives, and never takes its claim", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const node = fleet.node("web-01", { restart: { shell: fleet.waitingShell(go.path) } });
    const first = node.start("run", "restart");
    await fleet.untilLine("start web-01");
    const second = node.start("run", "restart");
    const [held, waiting] = (await fleet.untilQueue("restart", 2)) as [Claim, Claim];
    expect([held.durable, waiting.durable]).toEqual([true, false]);
    go.give();
    expect((await first.ended).code).toBe(0);
    expect((await second.ended).code).toBe(0);
    expect(fleet.lines()).toEqual(["start web-01", "end web-01", "start web-01", "end web-01"]);
    const history = await (await fleet.coordinator()).history("restart", 5);
    expect(history.map(({ event }) => event)).toEqual(["released", "released"]);
  });

  test("a failed claim is adopted by the next run on its node", async () => {
    const fleet = await openFleet(kind);
    const failed = await fleet.node("web-01", { restart: { command: ["false"] } }).runAction("restart");
    const { code, result } = await fleet.node("web-01", { restart: { command: ["true"] } }).runAction("restart");
    expect(code).toBe(0);
    expect(result).toMatchObject({ outcome: "ran", claim: failed.result.claim });
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test("another action of the same node, and the same action of another node, never adopt", async () => {
    const fleet = await openFleet(kind);
    await fleet.node("web-01", { restart: { command: ["false"], lock: "shared" } }).runAction("restart");
    const [before] = await fleet.queue("shared");
    const impatient = { command: ["true"], lock: "shared", acquire: { timeout: "0.3 s" } };
    expect((await fleet.node("web-01", { deploy: impatient }).runAction("deploy")).code).toBe(75);
    expect((await fleet.node("web-02", { restart: impatient }).runAction("restart")).code).toBe(75);
    expect(await fleet.queue("shared")).toEqual([before]);
  });

  test("an agent that is killed after its action succeeded: the next run releases and runs nothing", async () => {
    const fleet = await openFleet(kind);
    const { node, agent, undo } = await stuckBeforeLeaving(fleet);
    await until(
      () => Object.values(node.journal("restart")).some((text) => text.includes('"succeeded"')),
      "the journal to know of the success",
    );
    agent.kill("SIGKILL");
    await agent.ended;
    await undo();
    expect(await fleet.queue("restart")).toHaveLength(1);
    const { code, result } = await fleet
      .node("web-01", { restart: { shell: `echo again >> '${fleet.log}'` } })
      .runAction("restart");
    expect(code).toBe(0);
    expect(result).toMatchObject({ outcome: "already-done" });
    expect(fleet.lines()).toEqual(["ran"]);
    expect(await fleet.queue("restart")).toEqual([]);
    expect(node.journal("restart")).toEqual({});
  });

  test("a claim of another boot of this machine is adopted at once: no process of another boot lives", async () => {
    const fleet = await openFleet(kind);
    // The store still says that its process is connected.
    const id = await settleFor(fleet, ownerOfBefore(await machineOf(fleet)));
    const node = fleet.node("web-01", { restart: { command: ["true"], acquire: { timeout: 0 } } });
    expect((await node.runAction("restart")).result).toMatchObject({ outcome: "ran", claim: id });
  });

  test.runIf(kind === "zookeeper")(
    "what another machine of this name has left is waited for, shown as such, and never taken over",
    async () => {
      const fleet = await openFleet(kind);
      const coordinator = await fleet.coordinator();
      const machine = await machineOf(fleet);
      const id = await settleFor(fleet, ownerOfBefore(machine.replace(/.$/, (last) => (last === "0" ? "1" : "0"))));
      const node = fleet.node("web-01", { restart: { command: ["true"], acquire: { timeout: "0.3 s" } } });
      const twin = await node.run("run", "restart");
      expect(twin.code, "the other one is at work").toBe(78);
      expect(twin.stderr).toContain("another machine is called web-01 too");
      await coordinator.close();
      expect((await node.runAction("restart")).code).toBe(75);
      expect((await node.run("resume")).code).toBe(75);
      expect((await node.run("locks")).stdout).toContain("left by another machine that was called web-01");
      expect((await node.run("locks")).stdout).toContain(id);
    },
  );

  test.runIf(kind === "zookeeper")("a claim of version 0.1, which names no machine, is an admin's after a reboot", async () => {
    const fleet = await openFleet(kind);
    const coordinator = await fleet.coordinator();
    const { node: name, principal, action, process } = ownerOfBefore("-.-.-");
    const id = await settleFor(fleet, { node: name, principal, action, process });
    await coordinator.close();
    const node = fleet.node("web-01", { restart: { command: ["true"], acquire: { timeout: 0 } } });
    expect((await node.runAction("restart")).code).toBe(75);
    expect((await node.run("locks")).stdout).toContain(id);
  });

  test("a node that is called localhost does not act on a store that others reach", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("localhost", { restart: { command: ["true"] } }, { coordinator: "zookeeper://zk1.example.com/x" });
    const { code, stderr } = await node.run("run", "restart");
    expect(code).toBe(78);
    expect(stderr).toContain("set `node`");
    expect((await fleet.node("localhost", { restart: { command: ["true"] } }).run("run", "restart")).code).toBe(0);
  });

  describe("resume", () => {
    test("does nothing where nothing is left", async () => {
      const fleet = await openFleet(kind);
      const node = fleet.node("web-01", { restart: { shell: `echo ran >> '${fleet.log}'` } });
      await fleet.node("web-02", { restart: { command: ["false"] } }).runAction("restart");
      const before = await fleet.queue("restart");
      const { code, stdout } = await node.run("resume", "--json");
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual({ results: [] });
      expect(fleet.lines()).toEqual([]);
      expect(await fleet.queue("restart")).toEqual(before);
    });

    test("does not take an outage for a wish: what was not asked for is not run when the store is back", async () => {
      const fleet = await openFleet(kind);
      const nowhere = kind === "zookeeper" ? "zookeeper://127.0.0.1:1/x" : `sqlite:///dev/null/holdline.db`;
      const actions = { reboot: { shell: `echo rebooting >> '${fleet.log}'` } };
      const cutOff = fleet.node("web-01", actions, { coordinator: nowhere, settings: { connect_timeout: "0.3 s" } });
      expect((await cutOff.run("resume", "--json")).code).toBe(69);
      expect(JSON.parse((await fleet.node("web-01", actions).run("resume", "--json")).stdout)).toEqual({ results: [] });
      expect(fleet.lines()).toEqual([]);
    });

    test("an action whose lock was renamed: what was left under the old lock is finished under the new", async () => {
      const fleet = await openFleet(kind);
      const { orphan } = await killedWhileRunning(fleet, {});
      const renamed = fleet.node("web-01", { restart: { lock: "new", shell: `echo again >> '${fleet.log}'` } });
      const { results } = JSON.parse((await renamed.run("resume", "--json")).stdout) as {
        results: { lock: string; outcome: string }[];
      };
      expect(results).toMatchObject([{ lock: "new", outcome: "ran" }]);
      expect(isRunning(orphan)).toBe(false);
      expect(fleet.lines()).toEqual(["start web-01", "again"]);
      expect(await (await fleet.coordinator()).list()).toEqual([]);
    });

    test("begins with what holds a lock, so that nothing waits behind this node's own failure", async () => {
      const fleet = await openFleet(kind);
      const say = (word: string) => `echo ${word} >> '${fleet.log}'`;
      const acquire = { timeout: "0.2 s" };
      const node = (broken: string) =>
        fleet.node("web-01", {
          waited: { lock: "shared", shell: say("waited"), acquire },
          broken: { lock: "shared", shell: broken, acquire },
        });
      expect((await node("exit 3").run("run", "broken", "waited")).code).toBe(4);
      expect(await fleet.queue("shared")).toMatchObject([{ owner: { action: "broken" } }]);
      expect((await node(say("mended")).run("resume")).code).toBe(0);
      expect(fleet.lines()).toEqual(["mended", "waited"]);
    });

    test("finishes an attempt that timed out, a stale claim and a failed one, and nothing else", async () => {
      const fleet = await openFleet(kind);
      const { orphan } = await killedWhileRunning(fleet, {});
      const say = (word: string) => ({ shell: `echo ${word} >> '${fleet.log}'` });
      await fleet.node("web-02", { late: { command: ["false"] } }).runAction("late");
      const broken = fleet.node("web-01", {
        failed: { command: ["false"] },
        late: { ...say("late"), acquire: { timeout: "0.2 s" } },
      });
      expect((await broken.run("run", "--all")).code).toBe(4);
      expect((await fleet.node("web-02", { late: { command: ["true"] } }).runAction("late")).code).toBe(0);

      const mended = fleet.node("web-01", {
        restart: say("restart"),
        failed: say("failed"),
        late: say("late"),
        other: say("other"),
      });
      const { code, stdout } = await mended.run("resume", "--json");
      expect(code).toBe(0);
      const { results } = JSON.parse(stdout) as { results: { action: string; outcome: string }[] };
      expect(results.map(({ action, outcome }) => [action, outcome])).toEqual([
        ["restart", "ran"],
        ["failed", "ran"],
        ["late", "ran"],
      ]);
      // They are finished side by side.
      expect(fleet.lines().sort()).toEqual(["failed", "late", "restart", "start web-01"]);
      expect(isRunning(orphan)).toBe(false);
      expect(JSON.parse((await mended.run("resume", "--json")).stdout)).toEqual({ results: [] });
    });

    test("one action that hangs does not keep others from recovery, whatever comes first in the file", async () => {
      const fleet = await openFleet(kind);
      const go = fleet.signalFile();
      const failing = { command: ["false"] };
      await fleet.node("web-01", { hangs: failing, quick: failing, other: failing }).run("run", "--all");
      const say = (word: string) => ({ shell: `echo ${word} >> '${fleet.log}'` });
      const mended = fleet.node("web-01", {
        hangs: { shell: fleet.waitingShell(go.path) },
        quick: say("quick"),
        other: say("other"),
      });
      expect((await mended.run("resume", "nothing-such")).code).toBe(64);
      const named = JSON.parse((await mended.run("resume", "other", "--json")).stdout) as { results: readonly object[] };
      expect(named.results).toMatchObject([{ action: "other", outcome: "ran" }]);
      const resume = mended.start("resume", "--json");
      await fleet.untilLine("start web-01");
      await fleet.untilLine("quick");
      expect((await fleet.coordinator().then((store) => store.list())).includes("hangs")).toBe(true);
      go.give();
      const { code, stdout } = await resume.ended;
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ results: [{ action: "hangs" }, { action: "quick", outcome: "ran" }] });
      expect(fleet.lines().filter((line) => line === "other")).toHaveLength(1);
    });
  });

  test("a store that cannot be reached ends with 69 within the connect timeout, and the attempt is journalled", async () => {
    const fleet = await openFleet(kind);
    const nowhere = kind === "zookeeper" ? "zookeeper://127.0.0.1:1/x" : `sqlite:///dev/null/holdline.db`;
    const node = fleet.node(
      "web-01",
      { restart: { command: ["true"] } },
      { coordinator: nowhere, settings: { connect_timeout: "0.5 s" } },
    );
    const { code, result } = await node.runAction("restart");
    expect(code).toBe(69);
    expect(result).toMatchObject({ outcome: "unreachable", claim: null });
    expect(node.journal("restart")).toHaveProperty("attempts.jsonl");
  });
});

describe("on zookeeper, through a faulty network", () => {
  test("an agent that is killed between grant and settle has started nothing, and its place vanishes", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const settle = proxy.holdRequest(Opcode.multi);
    const agent = behind(proxy, fleet, { restart: { shell: `echo ran >> '${fleet.log}'` } }).start("run", "restart");
    await settle.caught;
    agent.kill("SIGKILL");
    await agent.ended;
    settle.cut();
    await until(async () => (await fleet.queue("restart")).length === 0, { what: "the claim to vanish", deadlineMs: EXPIRY_MS });
    expect(fleet.lines()).toEqual([]);
    expect((await fleet.node("web-02", { restart: { shell: `echo other >> '${fleet.log}'` } }).runAction("restart")).code).toBe(0);
    expect(fleet.lines()).toEqual(["other"]);
  });

  test.each([
    ["join", "reply", Opcode.create],
    ["join", "request", Opcode.create],
    ["settle", "reply", Opcode.multi],
    ["settle", "request", Opcode.multi],
  ] as const)("%s with a lost %s: the action runs once under one claim", async (_step, what, opcode) => {
    const fleet = await openFleet("zookeeper");
    // The znodes that a first claim makes are there already.
    await fleet.node("web-00", { restart: { command: ["true"] } }).runAction("restart");
    const proxy = await openProxy();
    const lost = what === "reply" ? proxy.dropReply(opcode) : proxy.dropRequest(opcode);
    const node = behind(proxy, fleet, { restart: { shell: `echo ran >> '${fleet.log}'` } });
    const { code, result } = await node.runAction("restart");
    await lost;
    expect(code).toBe(0);
    expect(fleet.lines()).toEqual(["ran"]);
    expect(await fleet.queue("restart")).toEqual([]);
    expect(await (await fleet.coordinator()).history("restart", 1)).toMatchObject([{ claim: result.claim, event: "released" }]);
  });

  test.each(["reply", "request"] as const)("leave with a lost %s: released once, with one record", async (what) => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const go = fleet.signalFile();
    const agent = behind(proxy, fleet, { restart: { shell: fleet.waitingShell(go.path) } }).start("run", "restart");
    await fleet.untilLine("start web-01");
    const lost = what === "reply" ? proxy.dropReply(Opcode.multi) : proxy.dropRequest(Opcode.multi);
    go.give();
    await lost;
    expect((await agent.ended).code).toBe(0);
    expect(await fleet.queue("restart")).toEqual([]);
    expect(await (await fleet.coordinator()).history("restart", 5)).toHaveLength(1);
  });

  test("a connection that is lost while the action runs harms nothing: it goes on, and is released afterwards", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const go = fleet.signalFile();
    const agent = behind(proxy, fleet, { restart: { shell: fleet.waitingShell(go.path) } }).start("run", "restart");
    await fleet.untilLine("start web-01");
    await proxy.welcome("refuse");
    await proxy.cut();
    // Until the session has ended on the server, and its liveness with it.
    await until(async () => (await fleet.queue("restart"))[0]?.alive === false, {
      what: "the session to end",
      deadlineMs: EXPIRY_MS,
    });
    await proxy.welcome("serve");
    await until(async () => (await fleet.queue("restart"))[0]?.alive === true, {
      what: "its liveness to come back",
      deadlineMs: EXPIRY_MS,
    });
    go.give();
    expect((await agent.ended).code).toBe(0);
    expect(fleet.lines()).toEqual(["start web-01", "end web-01"]);
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test("its liveness comes back however long the store was away", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const go = fleet.signalFile();
    const agent = behind(proxy, fleet, { restart: { shell: fleet.waitingShell(go.path) } }, { connect_timeout: "0.5 s" }).start(
      "run",
      "restart",
      "-v",
    );
    await fleet.untilLine("start web-01");
    await proxy.welcome("refuse");
    await proxy.cut();
    // Long enough for the first session to end and for the next one to be given up: each takes its time.
    await until(async () => (await fleet.queue("restart"))[0]?.alive === false, {
      what: "the session to end",
      deadlineMs: EXPIRY_MS,
    });
    const attempts = (): number => agent.stderr().split("not connected to ZooKeeper").length;
    const before = attempts();
    await until(() => attempts() > before + 15, { what: "many more attempts to connect", deadlineMs: 30_000 });
    await proxy.welcome("serve");
    await until(async () => (await fleet.queue("restart"))[0]?.alive === true, {
      what: "its liveness to come back",
      deadlineMs: EXPIRY_MS,
    });
    go.give();
    expect((await agent.ended).code).toBe(0);
  });

  test("an action that succeeded and could not be released: 69, and a resume releases", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const go = fleet.signalFile();
    const node = behind(
      proxy,
      fleet,
      { restart: { shell: fleet.waitingShell(go.path) } },
      { release_timeout: "0.5 s", connect_timeout: "1 s" },
    );
    const agent = node.start("run", "restart", "--json");
    await fleet.untilLine("start web-01");
    await proxy.welcome("refuse");
    await proxy.cut();
    go.give();
    const { code, stdout } = await agent.ended;
    expect(code).toBe(69);
    expect(stdout).toContain('"outcome":"unreachable"');
    expect(await fleet.queue("restart")).toHaveLength(1);
    const mended = fleet.node("web-01", { restart: { shell: `echo again >> '${fleet.log}'` } });
    expect((await mended.run("resume", "--json")).stdout).toContain('"outcome":"already-done"');
    expect(fleet.lines()).toEqual(["start web-01", "end web-01"]);
    expect(await fleet.queue("restart")).toEqual([]);
  });
});

/** A node whose connections go through a proxy. */
function behind(
  proxy: FaultProxy,
  fleet: Fleet,
  actions: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>> = {},
): Node {
  const root = new URL(fleet.url.replace("zookeeper:", "http:")).pathname;
  return fleet.node("web-01", actions, { coordinator: `zookeeper://${proxy.address}${root}`, settings });
}

/** An agent on web-01 that was killed while its action, on the lock `restart`, ran: the command is an orphan. */
function runFiles(journal: string): string[] {
  const files = readdirSync(journal, { recursive: true, encoding: "utf8" }).filter((name) => /run-[^/]*\.json$/.test(name));
  expect(files.length).toBeGreaterThan(0);
  return files.map((name) => `${journal}/${name}`);
}

async function killedWhileRunning(fleet: Fleet, extra: object): Promise<{ node: Node; stale: Claim; orphan: number }> {
  const pidFile = `${fleet.directory}/orphan.pid`;
  const shell = `echo $$ > '${pidFile}'; echo "start $HOLDLINE_NODE" >> '${fleet.log}'; sleep 1000; echo never >> '${fleet.log}'`;
  const node = fleet.node("web-01", { restart: { shell, ...extra } });
  const agent = node.start("run", "restart");
  await fleet.untilLine("start web-01");
  agent.kill("SIGKILL");
  await agent.ended;
  const [stale] = (await fleet.queue("restart")) as [Claim];
  return { node, stale, orphan: Number(readFileSync(pidFile, "utf8")) };
}

async function untilGone(fleet: Fleet, lock: string): Promise<void> {
  await until(async () => (await fleet.queue(lock))[0]?.alive === false, {
    what: "the agent to be seen as gone",
    deadlineMs: EXPIRY_MS,
  });
}

/** An agent on web-01 whose action has succeeded, and whose leave is under way and cannot come through until `undo`. */
async function stuckBeforeLeaving(fleet: Fleet): Promise<{ node: Node; agent: Cli; undo: () => Promise<void> }> {
  const go = fleet.signalFile();
  const actions = { restart: { shell: `echo ran >> '${fleet.log}'; while [ ! -e '${go.path}' ]; do sleep 0.02; done` } };
  if (fleet.kind === "zookeeper") {
    const proxy = await openProxy();
    const node = behind(proxy, fleet, actions);
    const agent = node.start("run", "restart");
    await fleet.untilLine("ran");
    const leave = proxy.holdRequest(Opcode.multi);
    go.give();
    await leave.caught;
    return { node, agent, undo: () => Promise.resolve(leave.cut()) };
  }
  const node = fleet.node("web-01", actions);
  const agent = node.start("run", "restart");
  await fleet.untilLine("ran");
  const database = new Database(fleet.url.replace("sqlite://", ""));
  database.exec("BEGIN IMMEDIATE");
  go.give();
  const undo = (): Promise<void> => {
    database.exec("ROLLBACK");
    database.close();
    return Promise.resolve();
  };
  return { node, agent, undo };
}

/** web-01's machine, as its claims have it: by its state directory, which a run has made. */
async function machineOf(fleet: Fleet): Promise<string> {
  const node = fleet.node("web-01", { first: { command: ["false"] } });
  const { result } = await node.runAction("first");
  const [claim] = (await fleet.queue("first")) as [Claim];
  expect(claim.id).toBe(result.claim);
  return `-.-.${claim.owner.machine?.split(".")[2] ?? ""}`;
}

/** The owner of a claim that a machine has made on `restart` before it was booted again. */
function ownerOfBefore(machine: string): Owner {
  const process = { bootId: randomUUID(), pidNamespace: "pid:[4026531836]", pid: 4711, startTicks: 99 };
  return { node: "web-01", principal: "ops@web-01", action: "restart", process, machine };
}

/** A durable claim on `restart`, made by the test itself in somebody's name. */
async function settleFor(fleet: Fleet, owner: Owner): Promise<string> {
  const coordinator = await fleet.coordinator();
  const draft = {
    id: randomUUID(),
    locks: ["restart"],
    key: null,
    slots: 1,
    owner,
    reason: null,
    data: null,
    settles: true,
    lease: null,
  };
  const turn = await takeTurn(coordinator, draft, { signal: new AbortController().signal });
  if (turn.outcome !== "granted") throw new Error("the lock was not free");
  const { key, slots, reason, data, lease } = draft;
  await coordinator.settle(draft, turn.joined, {
    owner,
    key,
    slots,
    reason,
    data,
    lease,
    made: null,
    expiresAt: null,
    failure: null,
  });
  return draft.id;
}
