// A ZooKeeper that is there but cannot serve (read-only, or without a quorum), and one that has lost everything it knew. The tests
// start these servers themselves.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { freshDirectory, freshRoot } from "../support/roots.js";
import { until } from "../support/wait.js";
import { canStartServers, fourLetter, startEnsemble, startZooKeeper, type ZooKeeperServer } from "../support/zookeeper-server.js";
import { type Cli, Fleet, type Node } from "./fleet.js";

failOnLeaks();

const canStart = await canStartServers();
const reason = canStart ? "" : " (skipped: it takes a local installation of ZooKeeper)";

// Short, so that an unreachable store is reported soon. A server that is up answers within milliseconds.
const IMPATIENT = { connect_timeout: "2 s", session_timeout: "3 s" };
// A server that is started again takes a while on a busy machine.
const LENIENT = { ...IMPATIENT, connect_timeout: "20 s" };
const PATIENT = { ...IMPATIENT, release_timeout: "5 min" };

describe.skipIf(!canStart).each([
  ["read-only", { "readonlymode.enabled": "true" }, "ro"],
  ["out of quorum", {}, "null"],
] as const)(`a ZooKeeper that is %s${reason}`, (_what, properties, mode) => {
  async function inUse() {
    const ensemble = await startEnsemble({ properties });
    onTestFinished(() => ensemble.close());
    const [first, ...others] = ensemble.servers as [ZooKeeperServer, ...ZooKeeperServer[]];
    const untilMode = (wanted: string): Promise<unknown> =>
      until(async () => (await fourLetter(first, "isro")).trim() === wanted, { what: `the mode "${wanted}"`, deadlineMs: 40_000 });
    return {
      fleet: await fleetOn(ensemble.address),
      /** Two of three servers end; the third still answers, but not as one that serves. */
      loseQuorum: async () => {
        await Promise.all(others.map((server) => server.kill()));
        await untilMode(mode);
      },
      regainQuorum: async () => {
        await Promise.all(others.map((server) => server.restart()));
        await untilMode("rw");
      },
    };
  }

  test("runs nothing, says so, and is asked again once it serves", async () => {
    const { fleet, loseQuorum, regainQuorum } = await inUse();
    const node = fleet.node("web-01", { restart: { shell: `echo ran >> '${fleet.log}'` } }, { settings: IMPATIENT });
    await loseQuorum();
    const { code, result } = await node.runAction("restart");
    expect(code, result.message).toBe(69);
    expect(result).toMatchObject({ outcome: "unreachable", claim: null });
    expect(result.message).toMatch(/no ZooKeeper server answered within 2000 ms/);
    const others = [["locks"], ["history"], ["clear", "restart", "--reason", "x"], ["exec", "restart", "--", "echo", "ran"]];
    for (const { code: other, stdout, stderr } of await Promise.all(others.map((args) => node.run(...args)))) {
      expect([other, stdout], stderr).toEqual([69, ""]);
      expect(stderr).toMatch(
        /^holdline: no ZooKeeper server answered within 2000 ms.*\n.*that the servers run and have a quorum\n$/,
      );
    }
    expect(fleet.lines()).toEqual([]);
    expect(Object.keys(node.journal("restart"))).toEqual(["attempts.jsonl"]);

    await regainQuorum();
    const resumed = await node.run("resume", "--json");
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(JSON.parse(resumed.stdout)).toMatchObject({ results: [{ action: "restart", outcome: "ran" }] });
    expect(fleet.lines()).toEqual(["ran"]);
    expect(node.journal("restart")).toEqual({});
  });

  test("while an action runs and another waits: the one goes on and releases later, the other is not run beside it", async () => {
    const { fleet, loseQuorum, regainQuorum } = await inUse();
    const go = fleet.signalFile();
    const actions = { restart: { shell: fleet.waitingShell(go.path) } };
    const holder = fleet.node("web-01", actions, { settings: PATIENT }).start("run", "restart", "--json");
    await fleet.untilLine("start web-01");
    const waiting = fleet.node(
      "web-02",
      { restart: { ...actions.restart, acquire: { timeout: "15 s" } } },
      { settings: IMPATIENT },
    );
    const waiter = waiting.start("run", "restart", "--json");
    await fleet.untilQueue("restart", 2);
    // It knows that it is in line: a first join without an answer would be another matter.
    await until(() => waiter.stderr().includes("in line"), "the waiter to have its place");
    await loseQuorum();
    // It has its own time: it waits on through the outage, and says so.
    const { code, stdout, stderr } = await waiter.ended;
    expect(code, stderr).toBe(75);
    expect(JSON.parse(stdout)).toMatchObject({ results: [{ outcome: "timed-out" }] });
    expect(stderr).toContain("waiting on");
    go.give();
    await fleet.untilLine("end web-01");

    await regainQuorum();
    expect((await holder.ended).code, holder.stderr()).toBe(0);
    expect(fleet.lines()).toEqual(["start web-01", "end web-01"]);
    expect((await waiting.run("resume")).code).toBe(0);
    expect(fleet.lines().slice(2)).toEqual(["start web-02", "end web-02"]);
    expect(await fleet.queue("restart")).toEqual([]);
    const history = await (await fleet.coordinator()).history("restart", 5);
    expect(history.map(({ owner, event }) => `${owner.node} ${event}`)).toEqual(["web-02 released", "web-01 released"]);
  });
});

describe.skipIf(!canStart)(`a ZooKeeper that has lost all its data${reason}`, () => {
  async function inUse() {
    const server = await startZooKeeper();
    onTestFinished(() => server.close());
    const fleet = await fleetOn(server.address);
    const go = fleet.signalFile();
    const node = (name: string, more: object = {}): Node =>
      fleet.node(name, { restart: { shell: fleet.waitingShell(go.path), ...more } }, { settings: LENIENT });
    return { server, fleet, go, node };
  }

  test.each([
    ["succeeds", "true", 0, "ran"],
    ["fails", "exit 3", 4, "failed"],
  ])(
    "its holder finds its claim gone and says so; an action that %s is told of as such",
    async (_what, ending, exitCode, outcome) => {
      const { server, fleet, go, node } = await inUse();
      const holder = node("web-01", { shell: `${fleet.waitingShell(go.path)}; ${ending}` }).start("run", "restart", "--json");
      await fleet.untilLine("start web-01");
      await wipe(server);
      // Another's claim at the very place in the new queue at which the lost one stood in the old.
      const other = node("web-02").start("run", "restart", "--json");
      await fleet.untilLine("start web-02");
      const [theirs] = await fleet.untilQueue("restart", 1);
      go.give();
      const { code, stdout, stderr } = await holder.ended;
      expect(code, stderr).toBe(exitCode);
      expect(JSON.parse(stdout)).toMatchObject({
        results: [{ outcome, message: expect.stringContaining("the claim was removed from the store") as unknown }],
      });
      expect((await other.ended).code, other.stderr()).toBe(0);
      const history = await (await fleet.coordinator()).history("restart", 5);
      expect(history.map(({ claim, event }) => [claim, event])).toEqual([[theirs?.id, "released"]]);
      expect(await fleet.queue("restart")).toEqual([]);
      expect((await node("web-01").run("resume", "--json")).stdout).toBe('{"results":[]}\n');
      expect((await node("web-01").runAction("restart")).code).toBe(0);
    },
  );

  test("those who wait join anew, and each has its turn, one at a time", async () => {
    const { server, fleet, go, node } = await inUse();
    const holder = node("web-01").start("run", "restart");
    await fleet.untilLine("start web-01");
    const waiters: Cli[] = [];
    for (const name of ["web-02", "web-03"]) {
      waiters.push(node(name).start("run", "restart"));
      await fleet.untilQueue("restart", waiters.length + 1);
    }
    await wipe(server);
    for (const waiter of waiters)
      await until(() => waiter.stderr().includes("joined again at the end of the line"), "each waiter to say so");
    await until(() => fleet.lines().length === 2, "one of them to start");
    go.give();
    for (const agent of [holder, ...waiters]) expect((await agent.ended).code, agent.stderr()).toBe(0);
    const theirs = fleet.lines().filter((line) => !line.endsWith("web-01"));
    const [, first] = (theirs[0] as string).split(" ");
    const [, last] = (theirs[2] as string).split(" ");
    expect(theirs).toEqual([`start ${first}`, `end ${first}`, `start ${last}`, `end ${last}`]);
    expect([first, last].sort()).toEqual(["web-02", "web-03"]);
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test("a command under an ephemeral claim is ended", async () => {
    const { server, fleet, node } = await inUse();
    const shell = `echo start >> '${fleet.log}'; exec sleep 1000`;
    const agent = node("web-01").start("exec", "restart", "--", "/bin/sh", "-c", shell);
    await fleet.untilLine("start");
    await wipe(server);
    const { code, stderr } = await agent.ended;
    expect(code).toBe(74);
    expect(stderr).toContain("the claim on restart was lost while the command ran, which was ended");
  });

  test("what a node had left is not run again by itself: nothing is owed to a store that knows of nothing", async () => {
    const { server, fleet, node } = await inUse();
    const agent = node("web-01").start("run", "restart");
    await fleet.untilLine("start web-01");
    agent.kill("SIGKILL");
    await agent.ended;
    expect(Object.keys(node("web-01").journal("restart"))).toHaveLength(1);
    await wipe(server);
    const { code, stdout } = await node("web-01").run("resume", "--json");
    expect([code, stdout]).toEqual([0, '{"results":[]}\n']);
    expect(node("web-01").journal("restart"), "what the journal still says").toEqual({});
    expect(fleet.lines(), "the orphaned command is ended").toEqual(["start web-01"]);
  });
});

async function fleetOn(address: string): Promise<Fleet> {
  return new Fleet("zookeeper", `zookeeper://${address}${freshRoot()}`, await freshDirectory());
}

/** The server comes back on its port and knows of nothing: no znode, no session. */
async function wipe(server: ZooKeeperServer): Promise<void> {
  await server.kill();
  const data = join(server.directory, "data");
  expect(readdirSync(data)).toContain("version-2");
  rmSync(join(data, "version-2"), { recursive: true });
  await server.restart();
}
