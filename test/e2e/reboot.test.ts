// An action of mode `reboot`, as a fleet meets it. A machine that has booted again is a mount namespace with another boot id; what a
// machine does to its processes that goes down is a signal to the agent. Kills at every point are test/crash/reboot.test.ts's.
import { rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openCoordinator } from "../../src/coordinators/registry.js";
import type { Claim } from "../../src/locks/claim.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { type Ended, type Fleet, type Node, openFleet, type Result, STORE_OPTIONS, STORES } from "./fleet.js";

failOnLeaks();

const LOCK = "reboot";

function nodeOf(fleet: Fleet, boot: string, action: Readonly<Record<string, unknown>> = {}): Node {
  const say = (text: string) => ({ shell: `echo "${text}" >> '${fleet.log}'` });
  return fleet.node("web-01", { reboot: { mode: "reboot", ...say("reboot"), ...action } }, { boot });
}

/** Asks the machine to reboot, and lets it go down. */
async function goDown(fleet: Fleet, node: Node): Promise<Ended> {
  const agent = node.start("run", "reboot", "--json");
  await fleet.untilLine("reboot");
  await until(() => agent.stderr().includes("was asked to reboot"), "the agent to wait");
  agent.kill("SIGTERM");
  return agent.ended;
}

function resultsOf({ stdout }: Ended): readonly Result[] {
  return (JSON.parse(stdout) as { readonly results: readonly Result[] }).results;
}

/** A database is used by processes of one boot alone: this one's reader goes at once. */
async function look<T>(fleet: Fleet, ask: (store: Coordinator) => Promise<T>): Promise<T> {
  const store = await openCoordinator(fleet.url, STORE_OPTIONS);
  try {
    return await ask(store);
  } finally {
    await store.close();
  }
}

function queueOf(fleet: Fleet): Promise<readonly Claim[]> {
  return look(fleet, (store) => store.queue(LOCK));
}

async function resume(node: Node): Promise<readonly Result[]> {
  return resultsOf(await node.run("resume", "--json"));
}

describe.each(STORES)("on %s", (kind) => {
  test("the lock lies over the boot, and the next boot finishes: check, after, soak", async () => {
    const fleet = await openFleet(kind);
    const say = (text: string) => ({ shell: `echo "${text}" >> '${fleet.log}'` });
    const action = { before: say("before"), after: say("after $HOLDLINE_OUTCOME"), verify: say("check"), soak: "1 ms" };
    const first = nodeOf(fleet, "one", action);
    const down = await goDown(fleet, first);
    expect(down.code, down.stderr).toBe(0);
    expect(resultsOf(down)).toMatchObject([{ outcome: "rebooting" }]);

    const [claim] = await queueOf(fleet);
    expect(claim).toMatchObject({ failure: null, stage: { name: "rebooting", drained: true } });
    expect((await fleet.node("admin", {}, { boot: "one" }).run("locks")).stdout).toMatch(/rebooting/);
    const waiting = fleet.node("web-02", { reboot: { command: ["true"], acquire: { timeout: "0.3 s" } } }, { boot: "one" });
    expect((await waiting.runAction("reboot")).result).toMatchObject({ outcome: "timed-out" });
    // Nobody asks a second time while it is on its way.
    expect((await first.runAction("reboot")).result).toMatchObject({ outcome: "rebooting", claim: claim?.id });
    expect(await resume(first)).toMatchObject([{ outcome: "rebooting", claim: claim?.id }]);
    expect(fleet.lines()).toEqual(["before", "reboot"]);

    const second = nodeOf(fleet, "two", action);
    expect(await resume(second)).toMatchObject([{ outcome: "ran", claim: claim?.id }]);
    expect(fleet.lines()).toEqual(["before", "reboot", "check", "after ran", "check"]);
    expect(await queueOf(fleet)).toEqual([]);
    const history = await look(fleet, (store) => store.history(LOCK, 5));
    expect(history).toMatchObject([{ claim: claim?.id, event: "released", reason: "the machine has rebooted" }]);
    expect(second.journal("reboot")).toEqual({});
    expect(await resume(second)).toEqual([]);
  });

  test("a machine that is back at once does not wait for its old session", async () => {
    const fleet = await openFleet(kind);
    const agent = nodeOf(fleet, "one").start("run", "reboot");
    await fleet.untilLine("reboot");
    agent.kill("SIGKILL");
    await agent.ended;
    expect(await resume(nodeOf(fleet, "two"))).toMatchObject([{ outcome: "ran" }]);
    expect(fleet.lines()).toEqual(["reboot"]);
  });

  test("while its agent still waits for the reboot, another run of it answers at once", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "one");
    const agent = node.start("run", "reboot");
    await fleet.untilLine("reboot");
    await until(() => agent.stderr().includes("was asked to reboot"), "the agent to wait");
    expect((await node.runAction("reboot")).result).toMatchObject({ outcome: "rebooting" });
    agent.kill("SIGTERM");
    expect((await agent.ended).code).toBe(0);
    expect(fleet.lines()).toEqual(["reboot"]);
  });

  test("a machine that does not go down in time has failed, and only a new wish asks it again", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "one", { timeout: "0.2 s" });
    const { code, result } = await node.runAction("reboot");
    expect(code).toBe(4);
    expect(result.message).toBe("the machine has not rebooted within 0.2 s; the lock reboot is kept");
    expect(await resume(node)).toMatchObject([{ outcome: "failed" }]);
    expect(fleet.lines()).toEqual(["reboot"]);
    expect(await queueOf(fleet)).toMatchObject([{ failure: { message: "the machine has not rebooted within 0.2 s" } }]);
    await node.runAction("reboot");
    expect(fleet.lines()).toEqual(["reboot", "reboot"]);
    // Somebody has pressed the button.
    expect(await resume(nodeOf(fleet, "two"))).toMatchObject([{ outcome: "ran" }]);
    expect(await queueOf(fleet)).toEqual([]);
  });

  test("a reboot whose agent is gone fails when its time is over", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "one", { timeout: "1 s" });
    const agent = node.start("run", "reboot");
    await fleet.untilLine("reboot");
    agent.kill("SIGKILL");
    await agent.ended;
    const results = await until(async () => {
      const [result] = await resume(node);
      return result?.outcome === "rebooting" ? null : result;
    }, "the reboot to be overdue");
    expect(results).toMatchObject({
      outcome: "failed",
      message: "the machine has not rebooted within 1 s; the lock reboot is kept",
    });
    expect(fleet.lines()).toEqual(["reboot"]);
  });

  test("a command that fails has failed: resume does not ask again", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "one", { shell: `echo refused >> '${fleet.log}'; exit 5` });
    expect((await node.runAction("reboot")).result).toMatchObject({ outcome: "failed", exitCode: 5 });
    expect(await resume(node)).toMatchObject([{ outcome: "failed" }]);
    expect(fleet.lines()).toEqual(["refused"]);
  });

  test("a machine that goes down may end the command before it tells the agent", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "one", { shell: `echo reboot >> '${fleet.log}'; kill -TERM $$` });
    const agent = node.start("run", "reboot", "--json");
    await fleet.untilLine("reboot");
    agent.kill("SIGTERM");
    const { code, stderr } = await agent.ended;
    expect(code, stderr).toBe(0);
    expect(await queueOf(fleet)).toMatchObject([{ failure: null, stage: { name: "rebooting" } }]);
  });

  test("a leftover whose machine was not asked after all does not say that it was", async () => {
    const fleet = await openFleet(kind);
    const hanging = nodeOf(fleet, "one", { before: { shell: `echo drains >> '${fleet.log}'; sleep 1000` } });
    const agent = hanging.start("run", "reboot");
    await fleet.untilLine("drains");
    agent.kill("SIGKILL");
    await agent.ended;
    // The journal cannot be written once the node is drained, and the command never begins.
    const place = `${hanging.directory}/state/journal/web-01/reboot`;
    const breaking = nodeOf(fleet, "one", { before: { shell: `rm -r '${place}'; echo > '${place}'` } });
    expect((await breaking.run("resume")).code).toBe(78);
    expect(await queueOf(fleet)).toMatchObject([{ failure: null, stage: { name: "draining", drained: true } }]);
    rmSync(place);
    const mended = nodeOf(fleet, "one", { shell: `echo asked >> '${fleet.log}'; kill -TERM $PPID; sleep 20` });
    expect(await resume(mended)).toMatchObject([{ outcome: "rebooting" }]);
    expect(fleet.lines()).toEqual(["drains", "asked"]);
  });

  test("a machine that comes back ill keeps the lock, and is checked again without another reboot", async () => {
    const fleet = await openFleet(kind);
    const healthy = fleet.signalFile();
    const action = { verify: { command: ["test", "-e", healthy.path], interval: "20 ms", timeout: "0.2 s" } };
    await goDown(fleet, nodeOf(fleet, "one", action));
    const back = nodeOf(fleet, "two", action);
    expect(await resume(back)).toMatchObject([{ outcome: "failed" }]);
    expect(await resume(back)).toMatchObject([{ outcome: "failed" }]);
    expect(await queueOf(fleet)).toMatchObject([{ failure: { exitCode: 1 } }]);
    healthy.give();
    expect(await resume(back)).toMatchObject([{ outcome: "ran" }]);
    expect(fleet.lines()).toEqual(["reboot"]);
    expect(await queueOf(fleet)).toEqual([]);
  });

  test("a new wish after the boot finishes the old one first", async () => {
    const fleet = await openFleet(kind);
    const verify = { shell: `echo check >> '${fleet.log}'` };
    await goDown(fleet, nodeOf(fleet, "one", { verify }));
    const agent = nodeOf(fleet, "two", { verify }).start("run", "reboot", "--json");
    await until(() => agent.stderr().includes("was asked to reboot"), "the agent to wait");
    agent.kill("SIGTERM");
    expect(resultsOf(await agent.ended)).toMatchObject([{ outcome: "rebooting" }]);
    expect(fleet.lines()).toEqual(["reboot", "check", "reboot"]);
    expect(await look(fleet, (store) => store.history(LOCK, 5))).toMatchObject([{ event: "released" }]);
  });

  test("a boot fulfils the attempts that were before it", async () => {
    const fleet = await openFleet(kind);
    expect((await fleet.node("admin", {}, { boot: "one" }).run("acquire", LOCK)).code).toBe(0);
    const action = { acquire: { timeout: 0 } };
    expect((await nodeOf(fleet, "one", action).runAction("reboot")).code).toBe(75);
    const back = nodeOf(fleet, "two", action);
    expect(await resume(back)).toMatchObject([{ outcome: "already-restarted" }]);
    expect(fleet.lines()).toEqual([]);
    expect(back.journal("reboot")).toEqual({});
  });

  test("without coordination the machine is asked to reboot all the same", async () => {
    const fleet = await openFleet(kind);
    const shell = `echo reboot >> '${fleet.log}'`;
    const options = { boot: "one", settings: { skip_coordination: true } };
    const { stdout, code } = await goDown(fleet, fleet.node("web-01", { reboot: { mode: "reboot", shell } }, options));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ results: [{ outcome: "rebooting", coordinated: false }] });
  });
});
