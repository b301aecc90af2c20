// `serialize_process` as its users meet it: when the action runs, and when it does not because someone else has restarted the
// service. The services are real processes with names of their own.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { ticksNow } from "../../src/proc.js";
import type { Claim } from "../../src/locks/claim.js";
import { failOnLeaks } from "../support/leaks.js";
import { type Fleet, isRunning, openFleet, type StoreKind, STORES } from "./fleet.js";
import { type Actions, endServices, leaveStale, serviceOn } from "./services.js";

failOnLeaks();

/** A run does what locking_resource does with what an earlier one has left. */
const SKIP = { already_restarted: "skip" };

describe.each(STORES)("on %s", (kind) => {
  test("no process matches: the service is down, and the action runs", async () => {
    const { fleet, actions } = await openServiceFleet(kind);
    const { code, result } = await fleet.node("web-01", actions()).runAction("restart");
    expect([code, result.outcome]).toEqual([0, "ran"]);
    expect(fleet.lines()).toEqual(["ran"]);
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test("a process that runs, and nothing left of earlier runs: the action runs", async () => {
    const { fleet, actions, startService } = await openServiceFleet(kind);
    await startService();
    const { result } = await fleet.node("web-01", actions()).runAction("restart");
    expect(result.outcome).toBe("ran");
    expect(fleet.lines()).toEqual(["ran"]);
  });

  describe("a restart must have restarted something", () => {
    const must = (name: string) => ({ command_string: `^${name}$` });

    test("a command that leaves the old process there has failed, though its check passes", async () => {
      const { fleet, actions, startService, name } = await openServiceFleet(kind);
      const service = await startService();
      const verify = { command: ["true"], timeout: "0.3 s" };
      const { code, result } = await fleet.node("web-01", actions({ process: must(name), verify })).runAction("restart");
      expect([code, result.outcome, result.exitCode]).toEqual([4, "failed", null]);
      expect(result.message).toContain(`it restarted nothing: process ${service.pid}`);
      expect(await fleet.queue("restart")).toMatchObject([
        { failure: { message: expect.stringContaining("restarted nothing") as string } },
      ]);
    });

    test("a pattern that matches nothing before and after is a failure that says so", async () => {
      const { fleet, actions, name } = await openServiceFleet(kind);
      const verify = { command: ["true"], timeout: "0.3 s" };
      const { code, result } = await fleet.node("web-01", actions({ process: must(name), verify })).runAction("restart");
      expect([code, result.outcome]).toEqual([4, "failed"]);
      expect(result.message).toContain("no process matches");
    });

    test("a process that the command starts, also a little after it has ended, is enough", async () => {
      const { fleet, actions, name } = await openServiceFleet(kind);
      const program = join(fleet.directory, name);
      const pidFile = join(fleet.directory, "late.pid");
      onTestFinished(() => void process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL"));
      const shell = `setsid sh -c 'echo $$ > "${pidFile}"; sleep 0.5; exec "${program}" 4711' > /dev/null 2>&1 &`;
      const { code, result } = await fleet.node("web-01", actions({ process: must(name), shell })).runAction("restart");
      expect([code, result.outcome]).toEqual([0, "ran"]);
    });
  });

  describe("a stale claim of one's own", () => {
    test("and a process older than it: the action runs, and the claim is released", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      await startService();
      const { stale, orphan } = await leaveStale(fleet, actions);
      const node = fleet.node("web-01", actions());
      const { code, result } = await node.runAction("restart");
      expect(code).toBe(0);
      expect(result).toMatchObject({ outcome: "ran", claim: stale.id });
      expect(fleet.lines()).toEqual(["start web-01", "ran"]);
      expect(isRunning(orphan), "the orphaned command").toBe(false);
      expect(await fleet.queue("restart")).toEqual([]);
      expect(node.journal("restart")).toEqual({});
    });

    test("and a process that started after it: a run is a new wish, and the action runs", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const { stale, orphan } = await leaveStale(fleet, actions);
      await startService(stale);
      const node = fleet.node("web-01", actions());
      const { code, result } = await node.runAction("restart");
      expect(code).toBe(0);
      expect(result).toMatchObject({ outcome: "ran", claim: stale.id });
      expect(fleet.lines()).toEqual(["start web-01", "ran"]);
      expect(isRunning(orphan), "the orphaned command").toBe(false);
      expect(await fleet.queue("restart")).toEqual([]);
    });

    test("and a process that started after it, where a run may skip: released, the action does not run", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const service = await startService();
      const { stale, orphan } = await leaveStale(fleet, actions);
      await service.end();
      await startService(stale);
      const node = fleet.node("web-01", actions(SKIP));
      const { code, result } = await node.runAction("restart");
      expect(code).toBe(0);
      expect(result).toMatchObject({ outcome: "already-restarted", claim: stale.id, exitCode: null });
      expect(fleet.lines()).toEqual(["start web-01"]);
      expect(isRunning(orphan), "the orphaned command").toBe(false);
      expect(await fleet.queue("restart")).toEqual([]);
      expect(await (await fleet.coordinator()).history("restart", 5)).toMatchObject([
        { claim: stale.id, event: "recovered", by: "ops@web-01", reason: expect.stringContaining("restarted") as string },
      ]);
      expect(node.journal("restart")).toEqual({});
    });

    test("and a new process beside an old one: the eldest decides, and the action runs", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      await startService();
      const { stale } = await leaveStale(fleet, actions);
      await startService(stale);
      expect((await fleet.node("web-01", actions(SKIP)).runAction("restart")).result.outcome).toBe("ran");
      expect(fleet.lines()).toEqual(["start web-01", "ran"]);
    });

    test("and no process: the action runs", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const service = await startService();
      const { stale } = await leaveStale(fleet, actions);
      await service.end();
      expect((await fleet.node("web-01", actions()).runAction("restart")).result).toMatchObject({
        outcome: "ran",
        claim: stale.id,
      });
    });

    test("in mode serialize nobody looks at processes: the action runs", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const { stale } = await leaveStale(fleet, actions);
      await startService(stale);
      const node = fleet.node("web-01", { restart: { ...actions(SKIP).restart, mode: "serialize" } });
      expect((await node.runAction("restart")).result.outcome).toBe("ran");
    });

    test("resume decides in the same way", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const { stale } = await leaveStale(fleet, actions);
      await startService(stale);
      const { code, stdout } = await fleet.node("web-01", actions()).run("resume", "--json");
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ results: [{ action: "restart", outcome: "already-restarted", claim: stale.id }] });
      expect(fleet.lines()).toEqual(["start web-01"]);
      expect(await fleet.queue("restart")).toEqual([]);
    });
  });

  describe("the process is found", () => {
    const ownUser = String(process.getuid?.());

    test.each([
      ["by its name", (name: string) => ({ command_string: `^${name}$` }), "already-restarted"],
      ["by its name and its user's number", (name: string) => ({ command_string: name, user: ownUser }), "already-restarted"],
      ["by its command line", (name: string) => ({ command_string: `/${name} 4711`, full_cmd: true }), "already-restarted"],
      ["not by its arguments without full_cmd", (name: string) => ({ command_string: `${name} 4711` }), "ran"],
      ["not by another's pattern", (name: string) => ({ command_string: `^${name}-exporter$` }), "ran"],
      ["not as another user's", (name: string) => ({ command_string: name, user: "4711" }), "ran"],
    ])("%s", async (_what, pattern, outcome) => {
      const { fleet, actions, startService, name } = await openServiceFleet(kind);
      const { stale } = await leaveStale(fleet, actions);
      await startService(stale);
      const process = { ...pattern(name), must_restart: false };
      const node = fleet.node("web-01", actions({ ...SKIP, process }));
      expect((await node.runAction("restart")).result.outcome).toBe(outcome);
    });
  });

  describe("attempts that timed out, and the lock is free now", () => {
    test("and the process is older than the latest: the action runs, and the journal is cleared", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      await startService();
      await timeOutTwice(fleet, actions);
      const node = fleet.node("web-01", actions(SKIP));
      const { code, result } = await node.runAction("restart");
      expect([code, result.outcome]).toEqual([0, "ran"]);
      expect(fleet.lines().at(-1)).toBe("ran");
      expect(node.journal("restart")).toEqual({});
    });

    test("and the process is newer than the latest: a run is a new wish, and the action runs", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const { last } = await timeOutTwice(fleet, actions);
      await startService({ made: { ticks: last } });
      const node = fleet.node("web-01", actions());
      expect((await node.runAction("restart")).result.outcome).toBe("ran");
      expect(node.journal("restart")).toEqual({});
    });

    test("and the process is newer than the first alone: resume runs what was wished last", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      await timeOutTwice(fleet, actions, () => startService({ made: { ticks: ticksNow() } }));
      const { code, stdout } = await fleet.node("web-01", actions()).run("resume", "--json");
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ results: [{ outcome: "ran" }] });
    });

    test("a resume that times out is no new wish: a restart before it still counts", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const { last } = await timeOutTwice(fleet, actions);
      await startService({ made: { ticks: last } });
      const impatient = actions({ acquire: { timeout: "0.1 s" }, process: { command_string: "^nothing-is-called-so$" } });
      const go = fleet.signalFile();
      const holder = fleet.node("web-02", { restart: { shell: fleet.waitingShell(go.path) } }).start("run", "restart");
      await fleet.untilQueue("restart", 1);
      expect((await fleet.node("web-01", impatient).run("resume")).code).toBe(75);
      go.give();
      expect((await holder.ended).code).toBe(0);
      const { stdout } = await fleet.node("web-01", actions()).run("resume", "--json");
      expect(JSON.parse(stdout)).toMatchObject({ results: [{ outcome: "already-restarted" }] });
    });

    test("and the process is newer than the latest, where a run may skip: it does not run, and the journal is cleared", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const service = await startService();
      const { last } = await timeOutTwice(fleet, actions);
      await service.end();
      await startService({ made: { ticks: last } });
      const node = fleet.node("web-01", actions(SKIP));
      const { code, result } = await node.runAction("restart");
      expect(code).toBe(0);
      expect(result).toMatchObject({ outcome: "already-restarted", claim: null });
      expect(fleet.lines()).not.toContain("ran");
      expect(node.journal("restart")).toEqual({});
      expect(await fleet.queue("restart")).toEqual([]);
      const history = await (await fleet.coordinator()).history("restart", 10);
      expect(history.map(({ owner }) => owner.node)).toEqual(["web-02"]);
      // A finished wish is forgotten: asking again is a new one.
      expect((await node.runAction("restart")).result.outcome).toBe("ran");
    });

    test("a process that restarts while the next attempt waits, where a run may skip: it does not run either", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const service = await startService();
      const go = fleet.signalFile();
      const holder = fleet.node("web-02", { restart: { shell: fleet.waitingShell(go.path) } }).start("run", "restart");
      await fleet.untilLine("start web-02");
      const impatient = fleet.node("web-01", actions({ ...SKIP, acquire: { timeout: 0 } }));
      expect((await impatient.runAction("restart")).code).toBe(75);
      const waiter = fleet.node("web-01", actions(SKIP)).start("run", "restart", "--json");
      await fleet.untilQueue("restart", 2);
      await service.end();
      await startService({ made: { ticks: ticksNow() } });
      go.give();
      expect((await holder.ended).code).toBe(0);
      const { code, stdout } = await waiter.ended;
      expect(code).toBe(0);
      expect(stdout).toContain('"outcome":"already-restarted"');
      expect(fleet.lines()).toEqual(["start web-02", "end web-02"]);
      expect(await fleet.queue("restart")).toEqual([]);
    });
  });

  describe("another node's claim", () => {
    test("is never touched nor taken for one's own, though the process is newer", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const failed = await fleet.node("web-02", actions({ shell: "exit 1" })).runAction("restart");
      const [before] = (await fleet.queue("restart")) as [Claim];
      await startService(before);
      const node = fleet.node("web-01", actions({ acquire: { timeout: "0.3 s" } }));
      const { code, result } = await node.runAction("restart");
      expect([code, result.outcome]).toEqual([75, "timed-out"]);
      expect((await node.run("resume")).code).toBe(75);
      expect(await fleet.queue("restart")).toEqual([before]);
      expect(before.id).toBe(failed.result.claim);
    });

    test("with the same key neither: both have claims, and each is its own node's", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const key = { key: "rack-1" };
      await fleet.node("web-02", actions({ ...key, shell: "exit 1" })).runAction("restart");
      const [before] = (await fleet.queue("restart")) as [Claim];
      await startService(before);
      const { code, result } = await fleet.node("web-01", actions(key)).runAction("restart");
      expect([code, result.outcome]).toEqual([0, "ran"]);
      expect(result.claim).not.toBe(before.id);
      expect(fleet.lines()).toEqual(["ran"]);
      expect(await fleet.queue("restart")).toEqual([before]);
    });
  });

  describe("a failed claim of one's own", () => {
    test("and a process restarted after the failure, where a run may skip: released, the action does not run", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      await startService();
      const { result: failed } = await fleet.node("web-01", actions({ shell: "exit 1" })).runAction("restart");
      const [toxic] = (await fleet.queue("restart")) as [Claim];
      // Before it is restarted: the one that was there already is older than the failure.
      expect((await fleet.node("web-01", actions({ shell: "exit 1" })).runAction("restart")).result.outcome).toBe("failed");
      expect(await fleet.queue("restart")).toMatchObject([{ id: toxic.id }]);
      await endServices();
      const [again] = (await fleet.queue("restart")) as [Claim];
      await startService(again);
      const { code, result } = await fleet.node("web-01", actions(SKIP)).runAction("restart");
      expect(code).toBe(0);
      expect(result).toMatchObject({ outcome: "already-restarted", claim: failed.claim });
      expect(fleet.lines()).toEqual([]);
      expect(await fleet.queue("restart")).toEqual([]);
    });

    test("a process that the failed command itself had started is not restarted since: the action runs", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      const go = fleet.signalFile();
      const agent = fleet.node("web-01", actions({ shell: `${fleet.waitingShell(go.path)}; exit 1` })).start("run", "restart");
      await fleet.untilLine("start web-01");
      // As the command would: after the claim was made, and before it failed.
      const [running] = (await fleet.queue("restart")) as [Claim];
      await startService(running);
      go.give();
      expect((await agent.ended).code).toBe(4);
      expect((await fleet.node("web-01", actions(SKIP)).runAction("restart")).result.outcome).toBe("ran");
      expect(fleet.lines().at(-1)).toBe("ran");
    });

    test("the process has restarted but its check fails: the action runs again", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      await fleet.node("web-01", actions({ shell: "exit 1" })).runAction("restart");
      const [toxic] = (await fleet.queue("restart")) as [Claim];
      await startService(toxic);
      const healthy = fleet.signalFile();
      const verify = { command: ["test", "-e", healthy.path], interval: "20 ms", timeout: "0.2 s" };
      const mending = actions({ ...SKIP, shell: `echo ran >> '${fleet.log}'; touch '${healthy.path}'`, verify });
      const { code, result } = await fleet.node("web-01", mending).runAction("restart");
      expect(code).toBe(0);
      expect(result).toMatchObject({ outcome: "ran", claim: toxic.id });
      expect(fleet.lines()).toEqual(["ran"]);
      expect(await fleet.queue("restart")).toEqual([]);
    });

    test("the process has restarted and its check passes: released", async () => {
      const { fleet, actions, startService } = await openServiceFleet(kind);
      await fleet.node("web-01", actions({ shell: "exit 1" })).runAction("restart");
      const [toxic] = (await fleet.queue("restart")) as [Claim];
      await startService(toxic);
      const verify = { shell: `echo checked >> '${fleet.log}'` };
      const { result } = await fleet.node("web-01", actions({ ...SKIP, verify })).runAction("restart");
      expect(result).toMatchObject({ outcome: "already-restarted", claim: toxic.id });
      expect(fleet.lines()).toEqual(["checked"]);
      expect(await fleet.queue("restart")).toEqual([]);
    });
  });
});

/** Two runs on web-01 that did not get the lock, which is free afterwards. Gives the ticks at the second's. */
async function timeOutTwice(
  fleet: Fleet,
  actions: Actions,
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<{ last: number | null }> {
  const go = fleet.signalFile();
  const holder = fleet.node("web-02", { restart: { shell: fleet.waitingShell(go.path) } }).start("run", "restart");
  await fleet.untilLine("start web-02");
  const node = fleet.node("web-01", actions({ acquire: { timeout: "0.1 s" } }));
  const first = await node.runAction("restart");
  await between();
  const second = await node.runAction("restart");
  expect([first.code, second.code]).toEqual([75, 75]);
  expect([first.result.attempts, second.result.attempts]).toEqual([1, 2]);
  expect(node.journal("restart")["attempts.jsonl"]?.trim().split("\n")).toHaveLength(2);
  const last = ticksNow();
  go.give();
  expect((await holder.ended).code).toBe(0);
  return { last };
}

/** A fleet with a service that its actions restart. */
async function openServiceFleet(kind: StoreKind) {
  const fleet = await openFleet(kind);
  return { fleet, ...serviceOn(fleet) };
}
