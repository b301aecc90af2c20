// Znodes that somebody deletes by hand while they are in use: their owner learns it, nobody else's are touched, and the next
// run finds everything that it needs.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient, type PlainClient } from "../support/plain-client.js";
import { until } from "../support/wait.js";
import { type Ended, type Fleet, type Node, openFleet, type Result } from "./fleet.js";

failOnLeaks();

const REMOVED = /the claim was removed from the store, and its history does not say by whom/;

describe("by hand is deleted", () => {
  test("the claim of one who waits: it is told, and those behind it move up", async () => {
    const { fleet, zookeeper, root, go, node } = await inUse();
    const holder = node("web-01").start("run", "restart");
    await fleet.untilLine("start web-01");
    const waiter = node("web-02").start("run", "restart", "--json");
    await fleet.untilQueue("restart", 2);
    const last = node("web-03").start("run", "restart");
    const [, second] = await fleet.untilQueue("restart", 3);
    await zookeeper.remove(`${root}/locks/restart/${second?.ref}`);
    const ended = await waiter.ended;
    expect(ended.code, ended.stderr).toBe(75);
    expect(resultOf(ended)).toMatchObject({ outcome: "timed-out", claim: null });
    expect(resultOf(ended).message).toMatch(/the claim was taken out of the queue of restart/);
    expect((await fleet.queue("restart")).map(({ owner }) => owner.node)).toEqual(["web-01", "web-03"]);
    go.give();
    for (const agent of [holder, last]) expect((await agent.ended).code, agent.stderr()).toBe(0);
    expect(fleet.lines()).toEqual(["start web-01", "end web-01", "start web-03", "end web-03"]);
    // It was tried and came to nothing: it is owed.
    expect((await node("web-02").run("resume")).code).toBe(0);
    expect(fleet.lines().slice(4)).toEqual(["start web-02", "end web-02"]);
  });

  test.each([
    ["succeeds", "true", 0, "ran"],
    ["fails", "exit 3", 4, "failed"],
  ])(
    "the claim of one whose action runs and then %s: it is told, and the next one's is left alone",
    async (_what, ending, exitCode, outcome) => {
      const { fleet, zookeeper, root, go, node } = await inUse();
      const holder = node("web-01", { shell: `${fleet.waitingShell(go.path)}; ${ending}` }).start("run", "restart", "--json");
      await fleet.untilLine("start web-01");
      const [held] = await fleet.untilQueue("restart", 1);
      const later = fleet.signalFile();
      const next = node("web-02", { shell: fleet.waitingShell(later.path) }).start("run", "restart");
      await fleet.untilQueue("restart", 2);
      await zookeeper.remove(`${root}/locks/restart/${held?.ref}`);
      // Deleting a holder's claim lets the next one in.
      await fleet.untilLine("start web-02");
      go.give();
      const ended = await holder.ended;
      expect(ended.code, ended.stderr).toBe(exitCode);
      expect(resultOf(ended)).toMatchObject({ outcome, message: expect.stringMatching(REMOVED) as unknown });
      expect((await fleet.queue("restart")).map(({ owner, failure }) => [owner.node, failure])).toEqual([["web-02", null]]);
      later.give();
      expect((await next.ended).code, next.stderr()).toBe(0);
      expect(await fleet.queue("restart")).toEqual([]);
      expect(node("web-01").journal("restart")).toEqual({});
      expect(await zookeeper.children(`${root}/alive`), "liveness entries").toEqual([]);
    },
  );

  test("a claim under which a command runs ephemerally: the command is ended", async () => {
    const { fleet, zookeeper, root, node } = await inUse();
    const shell = `echo start >> '${fleet.log}'; exec sleep 1000`;
    const agent = node("web-01").start("exec", "restart", "--", "/bin/sh", "-c", shell);
    await fleet.untilLine("start");
    const [held] = await fleet.untilQueue("restart", 1);
    await zookeeper.remove(`${root}/locks/restart/${held?.ref}`);
    const { code, stderr } = await agent.ended;
    expect(code).toBe(74);
    expect(stderr).toContain("the claim on restart was lost while the command ran, which was ended");
  });

  test("a claim that was left: resume has nothing more to do, and says nothing else", async () => {
    const { fleet, zookeeper, root, node } = await inUse();
    expect((await node("web-01", { command: ["false"] }).run("run", "restart")).code).toBe(4);
    const [toxic] = await fleet.untilQueue("restart", 1);
    await zookeeper.remove(`${root}/locks/restart/${toxic?.ref}`);
    const { code, stdout } = await node("web-01").run("resume", "--json");
    expect([code, stdout]).toEqual([0, '{"results":[]}\n']);
    expect((await node("web-01").run("clear", "restart", "--reason", "x")).code).toBe(1);
    expect((await node("web-01").run("locks", "restart")).code).toBe(1);
  });

  test.each([
    ["the lock with all its claims", "/locks/restart"],
    ["the whole root", ""],
  ])("%s: who waits and who holds is told, and the next run makes it anew", async (_what, below) => {
    const { fleet, zookeeper, root, go, node } = await inUse();
    const holder = node("web-01").start("run", "restart", "--json");
    await fleet.untilLine("start web-01");
    const waiter = node("web-02").start("run", "restart", "--json");
    await fleet.untilQueue("restart", 2);
    // From the end of the line: else each deletion would give somebody a turn.
    await removeTree(zookeeper, `${root}${below}`);
    const waited = await waiter.ended;
    expect(waited.code, waited.stderr).toBe(75);
    expect(resultOf(waited).message).toMatch(/the claim was taken out of the queue of restart/);
    expect(fleet.lines(), "only the holder's").toEqual(["start web-01"]);
    go.give();
    const held = await holder.ended;
    expect(held.code, held.stderr).toBe(0);
    expect(resultOf(held)).toMatchObject({ outcome: "ran", message: expect.stringMatching(REMOVED) as unknown });
    const again = await node("web-02").runAction("restart");
    expect([again.code, again.result.outcome], again.stderr).toEqual([0, "ran"]);
    expect((await (await fleet.coordinator()).history("restart", 5)).map(({ owner }) => owner.node)).toEqual(["web-02"]);
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test.each([
    ["the liveness entry of one who runs", "/alive"],
    ["the history", "/history"],
    ["the clock", "/clock"],
    ["all three", "/alive", "/history", "/clock"],
  ])("%s: the run goes on, releases, and is told of", async (_what, ...below) => {
    const { fleet, zookeeper, root, go, node } = await inUse();
    expect((await node("web-00", { command: ["true"] }).run("run", "restart")).code).toBe(0);
    const holder = node("web-01").start("run", "restart", "--json");
    await fleet.untilLine("start web-01");
    const waiter = node("web-02").start("run", "restart", "--json");
    await fleet.untilQueue("restart", 2);
    for (const path of below) await removeTree(zookeeper, `${root}${path}`);
    // Still held by an owner that others can see live, whatever is missing of the claim.
    const looked = await node("web-01").run("locks", "restart", "--json");
    expect(looked.code, looked.stderr).toBe(0);
    expect(JSON.parse(looked.stdout)).toMatchObject({ locks: [{ holders: [{ condition: "running" }], waiting: [{}] }] });
    expect((await node("web-01").run("history")).code).toBe(0);
    go.give();
    for (const agent of [holder, waiter]) {
      const ended = await agent.ended;
      expect(ended.code, ended.stderr).toBe(0);
      expect(resultOf(ended)).toMatchObject({ outcome: "ran", message: "" });
    }
    expect(fleet.lines()).toEqual(["start web-01", "end web-01", "start web-02", "end web-02"]);
    const history = await (await fleet.coordinator()).history("restart", 2);
    expect(history.map(({ owner, event }) => `${owner.node} ${event}`)).toEqual(["web-02 released", "web-01 released"]);
    expect(await zookeeper.children(`${root}/alive`), "liveness entries").toEqual([]);
  });

  test("everything about a claim that failed but the claim: its lock stays held, and its node takes it up", async () => {
    const { fleet, zookeeper, root, node } = await inUse();
    const failed = await node("web-01", { command: ["false"] }).runAction("restart");
    for (const path of ["/alive", "/history", "/clock"]) await removeTree(zookeeper, `${root}${path}`);
    const other = await node("web-02", { command: ["true"], acquire: { timeout: 0 } }).runAction("restart");
    expect([other.code, other.result.message], "another node").toEqual([75, expect.stringMatching(/FAILED on web-01/)]);
    const again = await node("web-01", { command: ["true"] }).runAction("restart");
    expect(again.result).toMatchObject({ outcome: "ran", claim: failed.result.claim });
    expect(await fleet.queue("restart")).toEqual([]);
  });
});

async function inUse() {
  const fleet = await openFleet("zookeeper");
  const go = fleet.signalFile();
  const zookeeper = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => zookeeper.close());
  const node = (name: string, action: object = { shell: fleet.waitingShell(go.path) }): Node =>
    fleet.node(name, { restart: action });
  return { fleet, go, zookeeper, root: rootOf(fleet), node };
}

function rootOf({ url }: Fleet): string {
  return new URL(url).pathname;
}

/** A znode and all that is below it, the last claims of a queue first. */
async function removeTree(zookeeper: PlainClient, path: string): Promise<void> {
  await until(async () => {
    const children = [...(await zookeeper.children(path))];
    const numberOf = (name: string): number => Number(name.slice(-10));
    children.sort((one, other) => numberOf(other) - numberOf(one));
    for (const child of children) await removeTree(zookeeper, `${path}/${child}`);
    if (await zookeeper.exists(path)) await zookeeper.remove(path);
    return !(await zookeeper.exists(path));
  }, `${path} to be gone`);
}

function resultOf({ stdout }: Ended): Result {
  return (JSON.parse(stdout) as { readonly results: readonly [Result] }).results[0];
}
