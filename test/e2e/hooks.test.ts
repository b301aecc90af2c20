// What goes on around a command, under its lock, as users meet it: hooks that drain a node and undo that, a check that has to pass
// several times, a soak, and commands that say "not now". That each is recovered where a run is killed is test/crash/hooks.test.ts's.
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { type Fleet, openFleet, STORES } from "./fleet.js";

failOnLeaks();

const LOCK = "deploy";

/** Commands that write a line, and end with a code. */
function saying(fleet: Fleet) {
  return (text: string, exitCode = 0) => ({ shell: `echo "${text}" | tee -a '${fleet.log}'; exit ${exitCode}` });
}

describe.each(STORES)("on %s", (kind) => {
  test("before, the command, the check and after come in this order, and after learns the outcome", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const node = fleet.node("web-01", {
      deploy: {
        ...say("deploy"),
        before: say("before $HOLDLINE_ACTION $HOLDLINE_LOCK"),
        after: say("after $HOLDLINE_OUTCOME"),
        verify: say("check"),
      },
    });
    expect((await node.runAction("deploy")).result).toMatchObject({ outcome: "ran", message: "" });
    expect(fleet.lines()).toEqual(["before deploy deploy", "deploy", "check", "after ran"]);
    expect(await fleet.queue(LOCK)).toEqual([]);
  });

  test("a before that fails keeps the lock with its output, and is undone", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const node = fleet.node("web-01", {
      deploy: { ...say("deploy"), before: say("cannot drain", 3), after: say("after $HOLDLINE_OUTCOME") },
    });
    const { code, result } = await node.runAction("deploy");
    expect(code).toBe(4);
    expect(result).toMatchObject({
      outcome: "failed",
      exitCode: 3,
      message: "before failed: exit code 3; the lock deploy is kept",
    });
    expect(fleet.lines()).toEqual(["cannot drain", "after failed"]);
    const failure = { exitCode: 3, message: "before failed: exit code 3", output: "cannot drain\n" };
    expect(await fleet.queue(LOCK)).toMatchObject([{ failure, stage: { drained: false } }]);
  });

  test("a before that outlives its time is ended, and is undone; an undoing that fails as well is told", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const node = fleet.node("web-01", {
      deploy: {
        ...say("deploy"),
        before: { shell: "sleep 1000", timeout: "0.1 s" },
        after: { ...say("after"), shell: "exit 9" },
      },
    });
    const { result } = await node.runAction("deploy");
    expect(result.message).toBe("before failed: timed out after 0.1 s; after failed: exit code 9; the lock deploy is kept");
    expect(await fleet.queue(LOCK)).toMatchObject([{ stage: { drained: true } }]);
  });

  test("a node on which the action has failed stays drained until the action succeeds", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const hooks = { before: say("before"), after: say("after $HOLDLINE_OUTCOME") };
    const broken = fleet.node("web-01", { deploy: { ...hooks, ...say("broken", 1) } });
    expect((await broken.runAction("deploy")).code).toBe(4);
    expect(fleet.lines()).toEqual(["before", "broken"]);
    expect(await fleet.queue(LOCK)).toMatchObject([{ failure: { exitCode: 1 }, stage: { drained: true } }]);

    // Nor do a before and a command of the next run that come to nothing undo it.
    const notYet = fleet.node("web-01", { deploy: { ...hooks, ...say("not yet", 75), not_now: [75] } });
    expect((await notYet.runAction("deploy")).result).toMatchObject({ outcome: "not-now" });
    expect(await fleet.queue(LOCK)).toMatchObject([{ failure: { exitCode: 1 }, stage: { drained: true } }]);
    const again = fleet.node("web-01", { deploy: { ...hooks, before: say("cannot drain", 3), ...say("broken") } });
    expect((await again.runAction("deploy")).code).toBe(4);
    expect(fleet.lines().filter((line) => line.startsWith("after"))).toEqual([]);

    const mended = fleet.node("web-01", { deploy: { ...hooks, ...say("mended") } });
    expect((await mended.run("resume")).code).toBe(0);
    expect(fleet.lines().slice(-3)).toEqual(["before", "mended", "after ran"]);
  });

  test("with when: always, after runs when the action has failed too, once", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const after = { ...say("after $HOLDLINE_OUTCOME"), when: "always" };
    const node = fleet.node("web-01", { deploy: { ...say("broken", 1), before: say("before"), after } });
    expect((await node.runAction("deploy")).result).toMatchObject({ outcome: "failed", exitCode: 1 });
    expect(fleet.lines()).toEqual(["before", "broken", "after failed"]);
    expect(await fleet.queue(LOCK)).toMatchObject([{ failure: { message: "exit code 1" }, stage: { drained: false } }]);
  });

  test("an after that fails has the action fail: the node may still be drained", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const node = fleet.node("web-01", { deploy: { ...say("deploy"), before: say("before"), after: say("stuck", 7) } });
    expect((await node.runAction("deploy")).result).toMatchObject({
      outcome: "failed",
      message: "after failed: exit code 7; the lock deploy is kept",
    });
    const failure = { exitCode: 7, message: "after failed: exit code 7", output: "stuck\n" };
    expect(await fleet.queue(LOCK)).toMatchObject([{ failure, stage: { drained: true } }]);
  });

  test("a command that says not now lets go at once, is undone, and stays to be done", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const actionWith = (exitCode: number) => ({
      deploy: { ...say("deploy", exitCode), not_now: [75, 99], before: say("before"), after: say("after $HOLDLINE_OUTCOME") },
    });
    const { code, result } = await fleet.node("web-01", actionWith(99)).runAction("deploy");
    expect(code).toBe(75);
    expect(result).toMatchObject({ outcome: "not-now", message: "the command says so with exit code 99" });
    expect(await fleet.queue(LOCK)).toEqual([]);
    expect(await (await fleet.coordinator()).history(LOCK, 5)).toMatchObject([
      { event: "released", reason: "not now: the command says so with exit code 99" },
    ]);
    const node = fleet.node("web-01", actionWith(0));
    expect(node.journal("deploy")).toHaveProperty("attempts.jsonl");
    expect((await node.run("resume")).code).toBe(0);
    expect(fleet.lines()).toEqual(["before", "deploy", "after not-now", "before", "deploy", "after ran"]);
    expect(node.journal("deploy")).toEqual({});
  });

  test.each(["after", "soak"])("a wish that is made in %s stays to be done, whoever finishes the run before it", async (where) => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const go = fleet.signalFile();
    const acquire = { timeout: "0.2 s" };
    const waits = { shell: `echo waits >> '${fleet.log}'; while [ ! -e '${go.path}' ]; do sleep 0.02; done` };
    const slow = where === "after" ? { after: waits } : { soak: "1 h" };
    const agent = fleet.node("web-01", { deploy: { ...say("deploy"), ...slow } }).start("run", "deploy");
    if (where === "after") await fleet.untilLine("waits");
    else await until(async () => (await fleet.queue(LOCK))[0]?.stage?.name === "soaking", "the soak");
    const impatient = fleet.node("web-01", { deploy: { ...say("deploy"), ...slow, acquire } });
    expect((await impatient.runAction("deploy")).result).toMatchObject({ outcome: "timed-out" });
    if (where === "after") {
      go.give();
      expect((await agent.ended).code).toBe(0);
    } else {
      agent.kill("SIGTERM");
      expect((await agent.ended).code).toBe(143);
    }
    const mended = fleet.node("web-01", { deploy: { ...say("deploy"), acquire } });
    if (where === "soak") expect((await mended.run("resume")).stdout).toContain("already done");
    expect(fleet.lines().filter((line) => line === "deploy")).toHaveLength(1);
    expect((await mended.run("resume")).code).toBe(0);
    expect(fleet.lines().filter((line) => line === "deploy")).toHaveLength(2);
    expect((await mended.run("resume")).stdout).toContain("nothing was left");
  });

  test("a before that says not now is undone as well", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const node = fleet.node("web-01", {
      deploy: { ...say("deploy"), not_now: [75], before: say("before", 75), after: say("after $HOLDLINE_OUTCOME") },
    });
    expect((await node.runAction("deploy")).result).toMatchObject({
      outcome: "not-now",
      message: "before says so with exit code 75",
    });
    expect(fleet.lines()).toEqual(["before", "after not-now"]);
    expect(await fleet.queue(LOCK)).toEqual([]);
  });

  test("a stop request while the node is drained is undone, and nothing is run", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const before = { shell: `echo before >> '${fleet.log}'; trap 'exit 0' TERM; while :; do sleep 0.02; done` };
    const node = fleet.node("web-01", { deploy: { ...say("deploy"), before, after: say("after $HOLDLINE_OUTCOME") } });
    const agent = node.start("run", "deploy");
    await fleet.untilLine("before");
    agent.kill("SIGTERM");
    expect((await agent.ended).code).toBe(143);
    expect(fleet.lines()).toEqual(["before", "after not-now"]);
    expect(await fleet.queue(LOCK)).toEqual([]);
    expect(node.journal("deploy")).toEqual({});
  });

  test("a claim that an admin clears while the node is drained runs nothing: the lock may be another's", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const cleared = fleet.signalFile();
    const before = { shell: `echo before >> '${fleet.log}'; until [ -e '${cleared.path}' ]; do sleep 0.02; done` };
    const node = fleet.node("web-01", {
      deploy: { ...say("deploy"), before, after: say("after $HOLDLINE_OUTCOME"), soak: "10 min" },
    });
    const agent = node.start("run", "deploy", "--json");
    await fleet.untilLine("before");
    expect((await fleet.node("admin", {}).run("clear", LOCK, "--reason", "mine now", "--force")).code).toBe(0);
    cleared.give();
    const { code, stdout } = await agent.ended;
    expect(code).toBe(75);
    expect(stdout).toContain("somebody has ended the claim while before ran");
    expect(fleet.lines()).toEqual(["before", "after not-now"]);
    expect(node.journal("deploy")).toHaveProperty("attempts.jsonl");
  });

  test("a check must pass several times in a row", async () => {
    const fleet = await openFleet(kind);
    // Passes, fails, and passes from then on.
    const shell = `echo check >> '${fleet.log}'; [ "$(wc -l < '${fleet.log}')" != 2 ]`;
    const verify = { shell, interval: "10 ms", timeout: "30 s", passes: 3 };
    expect((await fleet.node("web-01", { deploy: { command: ["true"], verify } }).runAction("deploy")).code).toBe(0);
    expect(fleet.lines()).toHaveLength(5);
    const never = {
      shell: `echo check >> '${fleet.log}'; [ $(( $(wc -l < '${fleet.log}') % 2 )) = 0 ]`,
      interval: "10 ms",
      timeout: "0.3 s",
    };
    const { result } = await fleet
      .node("web-01", { deploy: { command: ["true"], verify: { ...never, passes: 2 } } })
      .runAction("deploy");
    expect(result.message).toMatch(/the check failed: (exit code 1|it passed only 1 of 2 times in a row) \(tried \d+ times\)/);
  });

  test("while it soaks, the lock is kept and the check goes on: one that fails keeps the lock", async () => {
    const fleet = await openFleet(kind);
    const sick = fleet.signalFile();
    const verify = { command: ["test", "!", "-e", sick.path], interval: "20 ms", timeout: "0.2 s" };
    const node = fleet.node("web-01", { deploy: { command: ["true"], verify, soak: "10 min" } });
    const agent = node.start("run", "deploy", "--json");
    const [claim] = await until(async () => {
      const claims = await fleet.queue(LOCK);
      return claims[0]?.stage?.name === "soaking" ? claims : null;
    }, "the soak");
    expect((claim?.stage?.until ?? 0) - (claim?.stage?.since ?? 0)).toBe(600_000);
    sick.give();
    const { code, stdout } = await agent.ended;
    expect(code).toBe(4);
    expect(stdout).toContain("while it soaked, the check failed: exit code 1");
    expect(await fleet.queue(LOCK)).toMatchObject([{ id: claim?.id, failure: { exitCode: 1 } }]);
    // The soak is over with its failure: the action runs again.
    const mended = fleet.node("web-01", { deploy: { ...saying(fleet)("again") } });
    expect((await mended.run("resume")).code).toBe(0);
    expect(fleet.lines()).toEqual(["again"]);
  });

  test("a soak that a stop request ends is left to resume, which runs nothing again, while a new wish does", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const actionWith = (soak: string) => ({ deploy: { ...say("deploy"), soak } });
    const soaking = async () => {
      const agent = fleet.node("web-01", actionWith("10 min")).start("run", "deploy");
      await until(async () => (await fleet.queue(LOCK))[0]?.stage?.name === "soaking", "the soak");
      agent.kill("SIGTERM");
      const { code, stderr } = await agent.ended;
      expect(code).toBe(143);
      expect(stderr).toContain("its lock is kept");
    };
    await soaking();
    expect(await fleet.queue(LOCK)).toMatchObject([{ failure: null, stage: { name: "soaking" } }]);
    const { stdout } = await fleet.node("web-01", actionWith("1 ms")).run("resume", "--json");
    expect(stdout).toContain('"already-done"');
    expect(fleet.lines()).toEqual(["deploy"]);
    await soaking();
    expect((await fleet.node("web-01", actionWith("1 ms")).runAction("deploy")).result.outcome).toBe("ran");
    expect(fleet.lines()).toEqual(["deploy", "deploy", "deploy"]);
    expect(await fleet.queue(LOCK)).toEqual([]);
  });

  test("skip_coordination keeps the hooks, the check and the soak", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const hooks = { before: say("before"), after: say("after $HOLDLINE_OUTCOME"), verify: { ...say("check"), interval: "1 s" } };
    const settings = { skip_coordination: true };
    const node = fleet.node("web-01", { deploy: { ...say("deploy"), ...hooks, soak: "1 ms" } }, { settings });
    expect((await node.runAction("deploy")).result).toMatchObject({ outcome: "ran", coordinated: false });
    expect(fleet.lines()).toEqual(["before", "deploy", "check", "after ran", "check"]);
    const broken = fleet.node("web-01", { deploy: { ...say("deploy"), ...hooks, before: say("cannot", 1) } }, { settings });
    expect((await broken.runAction("deploy")).result).toMatchObject({ outcome: "failed", message: "before failed: exit code 1" });
    expect(fleet.lines().slice(5)).toEqual(["cannot", "after failed"]);
  });
});
