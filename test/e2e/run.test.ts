// `holdline run` as its users meet it: the outcomes, what others see, and that a fleet takes turns.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Claim } from "../../src/locks/claim.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import type { Fleet, Node } from "./fleet.js";
import { isRunning, openFleet, STORES } from "./fleet.js";

failOnLeaks();

describe.each(STORES)("on %s", (kind) => {
  test("an action runs under its lock, sees who it is, and lets go", async () => {
    const fleet = await openFleet(kind);
    const out = `${fleet.directory}/env`;
    const node = fleet.node("web-01", {
      hello: {
        shell: `env > '${out}'; echo out; echo err >&2`,
        lock: "restart/nginx",
        env: { GREETING: "hi there" },
        data: { ticket: "OPS-1" },
      },
    });
    const { code, stderr, result } = await node.runAction("hello");
    expect(code).toBe(0);
    expect(result).toMatchObject({
      action: "hello",
      lock: "restart/nginx",
      outcome: "ran",
      coordinated: true,
      exitCode: 0,
      signal: null,
    });
    expect(stderr).toContain("out\n");
    expect(stderr).toContain("err\n");
    const env = readFileSync(out, "utf8").split("\n");
    expect(env).toContain("GREETING=hi there");
    expect(env).toContain("HOLDLINE_ACTION=hello");
    expect(env).toContain("HOLDLINE_LOCK=restart/nginx");
    expect(env).toContain("HOLDLINE_NODE=web-01");
    expect(env).toContain(`HOLDLINE_CLAIM=${result.claim}`);
    expect(env).toContain(`HOLDLINE_FENCING_TOKEN=${result.fencingToken}`);
    expect(await fleet.queue("restart/nginx")).toEqual([]);
    const history = await (await fleet.coordinator()).history("restart/nginx", 10);
    expect(history).toMatchObject([{ claim: result.claim, event: "released", by: "ops@web-01", data: { ticket: "OPS-1" } }]);
    expect(node.journal("hello")).toEqual({});
  });

  test("without --json the command's output passes through untouched", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", { hello: { command: ["printf", "%s", "a\tb\u001b[31m"] } });
    const { code, stdout } = await node.run("run", "hello");
    expect(code).toBe(0);
    expect(stdout.startsWith("a\tb\u001b[31m")).toBe(true);
  });

  test("what has failed is logged as an error, which --quiet leaves; what timed out waiting as a warning", async () => {
    const fleet = await openFleet(kind);
    const actions = { plain: { command: ["sh", "-c", "exit 3"] }, checked: { command: ["true"], verify: NEVER_WELL } };
    const node = fleet.node("web-07", actions);
    expect((await logOf(node, "-q", "run", "plain")).map(({ level, msg }) => [level, msg])).toEqual([
      ["error", "plain failed: exit code 3"],
    ]);
    expect(await logOf(node, "run", "checked")).toContainEqual(
      expect.objectContaining({
        ...{ level: "error", action: "checked", exitCode: 1 },
        msg: expect.stringMatching(/^checked failed: the check failed: exit code 1/) as string,
      }),
    );
    const alone = fleet.node("web-06", actions, { settings: { skip_coordination: true } });
    expect((await logOf(alone, "-q", "run", "plain")).map(({ msg }) => msg)).toEqual(["plain failed: exit code 3"]);

    const other = fleet.node("web-08", { plain: { command: ["true"], acquire: { timeout: 0 } } });
    expect(await logOf(other, "run", "plain")).toContainEqual(
      expect.objectContaining({
        ...{ level: "warn", action: "plain", lock: "plain" },
        msg: expect.stringMatching(/^plain was not run, timed out waiting: not waiting, 1st in line for plain; FAILED/) as string,
      }),
    );
    expect(await logOf(other, "-q", "run", "plain"), "no error").toEqual([]);
  });

  test("a failure keeps the lock: others wait, and are told whose it is", async () => {
    const fleet = await openFleet(kind);
    const broken = fleet.node("web-07", { restart: { shell: "echo so; echo broken >&2; exit 3" } });
    const other = fleet.node("web-08", { restart: { command: ["true"], acquire: { timeout: "0.3 s" } } });
    const failed = await broken.runAction("restart");
    expect(failed.code).toBe(4);
    expect(failed.result).toMatchObject({ outcome: "failed", exitCode: 3 });
    const [claim] = (await fleet.queue("restart")) as [Claim];
    expect(claim).toMatchObject({
      durable: true,
      id: failed.result.claim,
      failure: { exitCode: 3, signal: null, message: "exit code 3" },
    });
    expect(claim.failure?.output.split("\n").sort()).toEqual(["", "broken", "so"]);

    const waited = await other.runAction("restart");
    expect(waited.code).toBe(75);
    expect(waited.result).toMatchObject({ outcome: "timed-out", claim: null });
    expect(waited.result.message).toMatch(/1st in line for restart; FAILED on web-07 .* before: exit code 3/);
    expect(await fleet.queue("restart")).toHaveLength(1);
    expect(other.journal("restart")).toHaveProperty("attempts.jsonl");
  });

  test("the failure keeps the last 4 KiB of output and no more", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", { noisy: { shell: "seq 1 5000; exit 1" } });
    await node.runAction("noisy");
    const [claim] = (await fleet.queue("noisy")) as [Claim];
    const output = claim.failure?.output ?? "";
    expect(output.endsWith("\n4999\n5000\n")).toBe(true);
    expect(Buffer.byteLength(output)).toBeLessThanOrEqual(4096);
    expect(Buffer.byteLength(output)).toBeGreaterThan(4000);
  });

  test("an action that outlives its timeout is ended with its whole process group", async () => {
    const fleet = await openFleet(kind);
    const pids = `${fleet.directory}/pids`;
    const stubborn = `trap '' TERM; (trap '' TERM; echo $$ >> '${pids}'; sh -c 'echo $$ >> "${pids}"; sleep 1000' & wait) & echo $$ >> '${pids}'; while :; do sleep 1; done`;
    const node = fleet.node("web-01", { slow: { shell: stubborn, timeout: "0.5 s", kill_after: "0.2 s" } });
    const { code, result } = await node.runAction("slow");
    expect(code).toBe(4);
    expect(result).toMatchObject({ outcome: "failed", signal: "SIGKILL" });
    expect(result.message).toContain("timed out after 0.5 s");
    for (const pid of readFileSync(pids, "utf8").split("\n").filter(Boolean)) {
      expect(isRunning(Number(pid)), `process ${pid} of the group runs`).toBe(false);
    }
    expect(await fleet.queue("slow")).toMatchObject([{ failure: { signal: "SIGKILL" } }]);
  });

  test("a health check that fails keeps the lock, one that passes at last lets go", async () => {
    const fleet = await openFleet(kind);
    const healthy = fleet.signalFile();
    const check = (timeout: string) => ({ verify: { command: ["test", "-e", healthy.path], interval: "50 ms", timeout } });
    const node = fleet.node("web-01", {
      ill: { command: ["true"], ...check("0.3 s") },
      slow: { command: ["true"], ...check("30 s") },
    });
    const ill = await node.runAction("ill");
    expect(ill.code).toBe(4);
    expect(ill.result.message).toContain("the check failed: exit code 1");
    expect(await fleet.queue("ill")).toMatchObject([{ failure: { exitCode: 1 } }]);

    const slow = node.start("run", "slow");
    await until(() => slow.stderr().includes("checking slow"), "the check to begin");
    healthy.give();
    expect((await slow.ended).code).toBe(0);
    expect(await fleet.queue("slow")).toEqual([]);
  });

  test("on_failure: release lets go all the same, and the history says so", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", { try: { command: ["false"], on_failure: "release" } });
    const { code, result } = await node.runAction("try");
    expect(code).toBe(4);
    expect(result.outcome).toBe("failed");
    expect(await fleet.queue("try")).toEqual([]);
    expect(await (await fleet.coordinator()).history("try", 10)).toMatchObject([{ event: "failed", reason: "exit code 1" }]);
  });

  test("a program that is not there is a failure with a clear word", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", { typo: { command: ["sistemctl-typo", "restart"] } });
    const { code, result } = await node.runAction("typo");
    expect(code).toBe(4);
    expect(result.message).toMatch(/sistemctl-typo.*not found/);
  });

  test("several actions go on after a failure, and the first code that is not 0 is the end's", async () => {
    const fleet = await openFleet(kind);
    const say = (word: string, then = "true") => ({ shell: `echo ${word} >> '${fleet.log}'; ${then}` });
    const node = fleet.node("web-01", { one: say("one"), two: say("two", "exit 9"), three: say("three") });
    expect((await node.run("run", "--all")).code).toBe(4);
    expect(fleet.lines()).toEqual(["one", "two", "three"]);
  });

  test("skip_coordination runs without any lock, and says so", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", { hello: { command: ["true"] } }, { settings: { skip_coordination: true } });
    const { code, result, stderr } = await node.runAction("hello");
    expect(code).toBe(0);
    expect(result).toMatchObject({ outcome: "ran", coordinated: false, claim: null });
    expect(stderr).toContain("without any lock");
  });

  test.each([
    [["exec", "db", "--", "true"], "db"],
    [["exec", "db", "--durable", "--", "true"], "db"],
    [["acquire", "db"], "db"],
    [["lock", "db"], "db"],
  ])("skip_coordination is run's alone: %j says that it locks all the same, and does", async (args, lock) => {
    const fleet = await openFleet(kind);
    const words = `skip_coordination is set, but only holdline run heeds it: ${lock} is locked all the same`;
    const node = fleet.node("web-01", {}, { settings: { skip_coordination: true } });
    expect((await logOf(node, ...args)).filter(({ msg }) => msg === words)).toMatchObject([{ level: "warn" }]);
    // A lease stands; what an exec had taken is over, and is in the way of nobody.
    const isLease = args[0] !== "exec";
    const claims = await fleet.queue(args[0] === "lock" ? "host/db" : "db");
    expect(claims).toHaveLength(isLease ? 1 : 0);
    expect(await logOf(fleet.node("web-02", {}), "acquire", "other"), "without the setting").toEqual([]);
  });

  test("acquire.timeout 0 does not wait", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const first = fleet.node("web-01", { restart: { shell: fleet.waitingShell(go.path) } });
    const second = fleet.node("web-02", { restart: { command: ["true"], acquire: { timeout: 0 } } });
    const running = first.start("run", "restart");
    await fleet.untilLine("start web-01");
    expect((await second.runAction("restart")).result.message).toMatch(/not waiting.*web-01: restart/);
    go.give();
    expect((await running.ended).code).toBe(0);
  });

  describe("twenty agents at the same moment", () => {
    test("run strictly one after another, in the order in which they joined", async () => {
      const fleet = await openFleet(kind);
      const go = fleet.signalFile();
      const nodes = twenty(fleet, () => ({ restart: { shell: fleet.waitingShell(go.path) } }));
      const agents = nodes.map((node) => node.start("run", "restart"));
      const queue = await fleet.untilQueue("restart", 20);
      go.give();
      for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
      expect(fleet.lines()).toEqual(queue.flatMap(({ owner }) => [`start ${owner.node}`, `end ${owner.node}`]));
    });

    test("with slots: 3 never more than three at once, and never fewer while others wait", async () => {
      const fleet = await openFleet(kind);
      const go = fleet.signalFile();
      const nodes = twenty(fleet, () => ({ restart: { shell: fleet.waitingShell(go.path), slots: 3 } }));
      const agents = nodes.map((node) => node.start("run", "restart"));
      await fleet.untilQueue("restart", 20);
      await until(() => fleet.lines().length === 3, "three to run");
      go.give();
      for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
      expect(mostAtOnce(fleet.lines())).toBe(3);
    });

    test("with two racks as keys, racks never overlap", async () => {
      const fleet = await openFleet(kind);
      const go = fleet.signalFile();
      const rackOf = (name: string): string => (Number(name.slice(-1)) % 2 === 0 ? "even" : "odd");
      const nodes = twenty(fleet, (name) => ({ restart: { shell: fleet.waitingShell(go.path), key: `rack-${rackOf(name)}` } }));
      const agents = nodes.map((node) => node.start("run", "restart"));
      await fleet.untilQueue("restart", 20);
      go.give();
      for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
      const running = new Set<string>();
      for (const line of fleet.lines()) {
        const [what, name] = line.split(" ") as [string, string];
        if (what === "start") running.add(name);
        else running.delete(name);
        expect(new Set([...running].map(rackOf)).size, `racks at work at once: ${[...running].join(", ")}`).toBeLessThanOrEqual(1);
      }
      expect(fleet.lines()).toHaveLength(40);
    });
  });
});

function twenty(fleet: Fleet, actions: (name: string) => Readonly<Record<string, unknown>>): Node[] {
  return Array.from({ length: 20 }, (_, index) => {
    const name = `web-${String(index).padStart(2, "0")}`;
    return fleet.node(name, actions(name));
  });
}

function mostAtOnce(lines: readonly string[]): number {
  let running = 0;
  return Math.max(...lines.map((line) => (running += line.startsWith("start") ? 1 : -1)));
}

const NEVER_WELL = { command: ["false"], interval: "5 s", timeout: "5 s" };

/** What a command logs, line by line. */
async function logOf(node: Node, ...args: readonly string[]): Promise<{ readonly level: string; readonly msg: string }[]> {
  const { stderr } = await node.run(...args);
  return stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { level: string; msg: string });
}
