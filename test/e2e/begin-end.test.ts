// Work that a caller does itself between `begin` and `end`: whose the claim is meanwhile, and what becomes of it when the caller dies.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { type Fleet, type Node, openFleet, STORES } from "./fleet.js";

failOnLeaks();

const LOCK = "deploy";

function nodeOf(fleet: Fleet, action: Readonly<Record<string, unknown>> = {}, name = "web-01"): Node {
  const say = (text: string) => ({ shell: `echo "${text}" | tee -a '${fleet.log}'` });
  const hooks = { before: say("before"), after: say("after $HOLDLINE_OUTCOME"), verify: { ...say("check"), interval: "1 s" } };
  return fleet.node(name, { deploy: { ...hooks, ...action } });
}

/** A process that does the work, until it is killed. */
async function startCaller(): Promise<ChildProcess & { readonly pid: number }> {
  const caller = spawn("sleep", ["1000"], { stdio: "ignore" });
  onTestFinished(() => void caller.kill("SIGKILL"));
  await once(caller, "spawn");
  return caller as ChildProcess & { readonly pid: number };
}

async function die(caller: ChildProcess): Promise<void> {
  const exited = once(caller, "exit");
  caller.kill("SIGKILL");
  await exited;
}

async function begin(node: Node, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await node.run("begin", "deploy", ...args);
  expect(code, stderr).toBe(0);
  expect(stdout, "the id, and nothing of what the hooks print").toMatch(/^[\da-f-]{36}\n$/);
  return stdout.trim();
}

async function conditionAt(node: Node): Promise<string | undefined> {
  const { stdout } = await node.run("locks", "--json");
  const { locks } = JSON.parse(stdout) as {
    readonly locks: readonly { readonly holders: readonly { readonly condition: string }[] }[];
  };
  return locks[0]?.holders[0]?.condition;
}

describe.each(STORES)("on %s", (kind) => {
  test("the lock stays in hand between begin and end, and others wait", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet);
    const caller = await startCaller();
    const id = await begin(node, "--pid", String(caller.pid));
    expect(await fleet.queue(LOCK)).toMatchObject([
      { id, stage: { name: "open", drained: true }, owner: { process: { pid: caller.pid } } },
    ]);
    expect(fleet.lines()).toEqual(["before"]);
    const other = nodeOf(fleet, { command: ["true"], acquire: { timeout: "0.3 s" } }, "web-02");
    expect((await other.runAction("deploy")).code).toBe(75);
    expect([await conditionAt(node), await conditionAt(other)]).toEqual(["open", "open"]);
    // Nobody finishes the work of a caller that lives.
    expect((await node.run("resume")).stdout).toContain("nothing was left");
    const { code, stdout } = await node.run("end", "deploy", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ results: [{ outcome: "ran", claim: id }] });
    expect(fleet.lines()).toEqual(["before", "check", "after ran"]);
    expect(await fleet.queue(LOCK)).toEqual([]);
    expect(node.journal("deploy")).toEqual({});
    expect(await (await fleet.coordinator()).history(LOCK, 5)).toMatchObject([{ claim: id, event: "released" }]);
    expect((await node.run("end", "deploy")).code).toBe(1);
  });

  test("a claim whose caller is gone is stale on its node, and begin takes it over", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet);
    const caller = await startCaller();
    const id = await begin(node, "--pid", String(caller.pid));
    const next = await startCaller();
    const waiting = node.start("begin", "deploy", "--pid", String(next.pid));
    await fleet.untilQueue(LOCK, 2);
    await die(caller);
    const { code, stdout } = await waiting.ended;
    expect([code, stdout.trim()]).toEqual([0, id]);
    await die(next);
    expect(await conditionAt(node)).toBe("stale");
    // It cannot be finished by who has no command for it.
    const stale = await fleet.queue(LOCK);
    const { code: resumed, stdout: why } = await node.run("resume");
    expect(resumed).toBe(75);
    // Nobody who looks in now and then leaves a trace in it.
    expect(await fleet.queue(LOCK)).toEqual(stale);
    expect(why).toContain("deploy has no command");
    expect(fleet.lines()).toEqual(["before", "before"]);
    expect((await nodeOf(fleet, { shell: `echo run >> '${fleet.log}'` }).runAction("deploy")).result).toMatchObject({
      outcome: "ran",
      claim: id,
    });
    expect(fleet.lines()).toEqual(["before", "before", "before", "run", "check", "after ran"]);
  });

  test("an end that is killed in its check is ended again", async () => {
    const fleet = await openFleet(kind);
    const id = await begin(nodeOf(fleet), "--detached");
    const hanging = nodeOf(fleet, { verify: { shell: `echo hangs >> '${fleet.log}'; sleep 1000` } });
    const agent = hanging.start("end", "deploy");
    await fleet.untilLine("hangs");
    agent.kill("SIGKILL");
    await agent.ended;
    const { stdout } = await nodeOf(fleet).run("end", "deploy", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ results: [{ outcome: "ran", claim: id }] });
    expect(fleet.lines()).toEqual(["before", "hangs", "check", "after ran"]);
  });

  test("while one end checks, another finds nothing open", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const waits = `echo checks >> '${fleet.log}'; while [ ! -e '${go.path}' ]; do sleep 0.02; done`;
    const node = nodeOf(fleet, { verify: { shell: waits } });
    await begin(node, "--detached");
    const first = node.start("end", "deploy");
    await fleet.untilLine("checks");
    expect(await fleet.queue(LOCK)).toMatchObject([{ stage: { name: "verifying", drained: true } }]);
    expect((await node.run("end", "deploy")).code).toBe(1);
    go.give();
    expect((await first.ended).code).toBe(0);
    expect(fleet.lines()).toEqual(["before", "checks", "after ran"]);
  });

  test("a begin whose caller is gone before its turn, or before the node is drained, gives the lock back", async () => {
    const fleet = await openFleet(kind);
    const admin = fleet.node("admin", {});
    expect((await admin.run("acquire", LOCK)).code).toBe(0);
    const go = fleet.signalFile();
    const before = { shell: `echo drains >> '${fleet.log}'; while [ ! -e '${go.path}' ]; do sleep 0.02; done` };
    const node = nodeOf(fleet, { before });
    const [one, two] = [await startCaller(), await startCaller()];
    const first = node.start("begin", "deploy", "--pid", String(one.pid));
    await fleet.untilQueue(LOCK, 2);
    await die(one);
    expect((await admin.run("clear", LOCK, "--force", "--reason", "test")).code).toBe(0);
    const { code, stdout, stderr } = await first.ended;
    expect([code, stdout]).toEqual([64, ""]);
    expect(stderr).toContain("has ended");
    expect(fleet.lines()).toEqual([]);

    const second = node.start("begin", "deploy", "--pid", String(two.pid));
    await fleet.untilLine("drains");
    await die(two);
    go.give();
    expect((await second.ended).code).toBe(64);
    expect(fleet.lines()).toEqual(["drains", "after not-now"]);
    expect(await fleet.queue(LOCK)).toEqual([]);
  });

  test("an end that has failed keeps the lock, and says why", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet);
    const id = await begin(node, "--detached");
    expect(await fleet.queue(LOCK)).toMatchObject([{ owner: { process: null } }]);
    expect(await conditionAt(node)).toBe("open");
    const { code } = await node.run("end", "deploy", "--failed", "--message", "schema at 41");
    expect(code).toBe(4);
    expect(await fleet.queue(LOCK)).toMatchObject([{ id, failure: { message: "schema at 41" }, stage: { drained: true } }]);
    expect(fleet.lines()).toEqual(["before"]);
    expect(await begin(node, "--detached")).toBe(id);
    expect((await node.run("end", "deploy")).code).toBe(0);
  });

  test("begin without --pid is for the process that has called it", async () => {
    const fleet = await openFleet(kind);
    await begin(nodeOf(fleet));
    expect(await fleet.queue(LOCK)).toMatchObject([{ owner: { process: { pid: process.pid } } }]);
  });

  test("what cannot be is refused, and begins nothing", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet);
    const gone = await startCaller();
    await die(gone);
    const noProcess = await node.run("begin", "deploy", "--pid", String(gone.pid));
    expect([noProcess.code, noProcess.stderr]).toEqual([64, expect.stringContaining("a process that does not run here")]);
    expect((await node.run("begin", "deploy", "--pid", "1", "--detached")).code).toBe(64);
    expect((await node.run("begin", "deploy", "--pid", "nobody")).code).toBe(64);
    expect((await node.run("end", "deploy", "--message", "x")).code).toBe(64);
    const run = await node.run("run", "deploy");
    expect([run.code, run.stderr]).toEqual([78, expect.stringContaining("holdline begin deploy")]);
    expect(await fleet.queue(LOCK)).toEqual([]);
    expect(fleet.lines()).toEqual([]);
  });

  test("a begin that does not come to its turn says so on standard error, and leaves nothing to resume", async () => {
    const fleet = await openFleet(kind);
    expect((await fleet.node("admin", {}).run("acquire", LOCK)).code).toBe(0);
    const node = nodeOf(fleet, { acquire: { timeout: 0 } });
    const { code, stdout, stderr } = await node.run("begin", "deploy");
    expect([code, stdout]).toEqual([75, ""]);
    expect(stderr).toContain("timed out");
    expect(node.journal("deploy")).toEqual({});
    await until(async () => (await fleet.queue(LOCK)).length === 1, "the waiter to be gone");
  });
});
