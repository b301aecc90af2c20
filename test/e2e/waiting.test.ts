// Waiting in line as users meet it: what Holdline says meanwhile, how to call the wait off, and what a wait survives.
import { describe, expect, inject, test } from "vitest";
import type { Claim } from "../../src/locks/claim.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import { expireSession, Opcode, type SessionCredentials } from "../support/zookeeper-frames.js";
import type { Cli, Fleet, Node } from "./fleet.js";
import { openFleet, openProxy, STORES } from "./fleet.js";
import { noTerminal, startOnTerminal } from "./terminal.js";

failOnLeaks();

describe.each(STORES)("on %s", (kind) => {
  test("elsewhere than on a terminal there is one JSON line for each change of place", async () => {
    const fleet = await openFleet(kind);
    const [first, second] = [fleet.signalFile(), fleet.signalFile()];
    const holder = nodeOf(fleet, "web-01", first.path).start("run", "restart");
    await fleet.untilLine("start web-01");
    const next = nodeOf(fleet, "web-02", second.path).start("run", "restart");
    await fleet.untilQueue("restart", 2);
    const last = nodeOf(fleet, "web-03", second.path).start("run", "restart");
    await until(() => waitingLines(last).length > 0, "the third to say where it stands");
    expect(waitingLines(last)).toMatchObject([
      {
        level: "info",
        node: "web-03",
        lock: "restart",
        place: 2,
        behind: { node: "web-01", principal: "ops@web-01", action: "restart", condition: "running", failure: null },
        msg: expect.stringMatching(/^2nd in line for restart, behind web-01: restart for [\d.]+ s$/) as string,
      },
    ]);
    first.give();
    await fleet.untilLine("start web-02");
    await until(
      () => waitingLines(last).some(({ place, behind }) => place === 1 && behind?.node === "web-02"),
      "the third to have moved up",
    );
    second.give();
    for (const agent of [holder, next, last]) expect((await agent.ended).code, agent.stderr()).toBe(0);
    const places = waitingLines(last).map(({ place }) => place);
    expect([...new Set(places)], "the line moves one way").toEqual([2, 1]);
    const said = waitingLines(last).map(({ place, behind }) => `${place} ${behind?.node}`);
    expect(
      said.filter((words, index) => words === said[index - 1]),
      "said twice in a row",
    ).toEqual([]);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s while waiting leaves the queue at once, and nothing else", async (signal) => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const holder = nodeOf(fleet, "web-01", go.path).start("run", "restart");
    await fleet.untilLine("start web-01");
    const node = nodeOf(fleet, "web-02", go.path, { other: { shell: `echo other >> '${fleet.log}'` } });
    for (const args of [
      ["run", "restart", "other"],
      ["exec", "restart", "--", "echo", "ran"],
      ["exec", "restart", "--durable", "--", "echo", "ran"],
    ]) {
      const waiter = node.start(...args);
      await until(() => waitingLines(waiter).length > 0, `${args.join(" ")} to wait`);
      waiter.kill(signal);
      const { code, stdout, stderr } = await within(waiter.ended, "the waiter to end");
      expect(code).toBe(signal === "SIGINT" ? 130 : 143);
      expect(stdout).toBe("");
      expect(stderr).toContain(`holdline: interrupted by ${signal}; nothing was run`);
      expect(await fleet.queue("restart")).toHaveLength(1);
    }
    go.give();
    expect((await holder.ended).code).toBe(0);
    expect(fleet.lines()).toEqual(["start web-01", "end web-01"]);
    expect(await (await fleet.coordinator()).history("restart", 10)).toHaveLength(1);
    expect(node.journal("restart")).toEqual({});
  });

  test.each(["SIGINT", "SIGTERM"] as const)(
    "%s while the action runs is passed on, and the failure keeps the lock",
    async (signal) => {
      const fleet = await openFleet(kind);
      const shell = `echo start >> '${fleet.log}'; exec sleep 1000`;
      const node = fleet.node("web-01", { restart: { shell }, other: { shell: `echo other >> '${fleet.log}'` } });
      const agent = node.start("run", "restart", "other", "--json");
      await fleet.untilLine("start");
      agent.kill(signal);
      const { code, stdout } = await within(agent.ended, "the agent to end");
      expect(code).toBe(4);
      expect(JSON.parse(stdout)).toMatchObject({ results: [{ action: "restart", outcome: "failed", signal, exitCode: null }] });
      expect(await fleet.queue("restart")).toMatchObject([{ durable: true, failure: { signal, message: `killed by ${signal}` } }]);
      expect(fleet.lines(), "no other action is begun").toEqual(["start"]);
    },
  );

  test("a command that ends well on SIGTERM has succeeded", async () => {
    const fleet = await openFleet(kind);
    const shell = `trap 'echo caught >> "${fleet.log}"; exit 0' TERM; echo start >> '${fleet.log}'; while :; do sleep 0.02; done`;
    const agent = fleet.node("web-01", { restart: { shell } }).start("run", "restart");
    await fleet.untilLine("start");
    agent.kill("SIGTERM");
    expect((await within(agent.ended, "the agent to end")).code).toBe(0);
    expect(fleet.lines()).toEqual(["start", "caught"]);
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test("SIGTERM during the check ends it, and the lock is kept", async () => {
    const fleet = await openFleet(kind);
    const verify = { shell: `echo check >> '${fleet.log}'; exit 1`, interval: "30 s", timeout: "10 min" };
    const agent = fleet.node("web-01", { restart: { command: ["true"], verify } }).start("run", "restart");
    await fleet.untilLine("check");
    agent.kill("SIGTERM");
    expect((await within(agent.ended, "the agent to end")).code).toBe(4);
    expect(await fleet.queue("restart")).toMatchObject([
      { durable: true, failure: { message: expect.stringContaining("the check failed") as string } },
    ]);
  });

  test("a wait that was too long is journalled, and resume tries again", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const holder = nodeOf(fleet, "web-01", go.path).start("run", "restart");
    await fleet.untilLine("start web-01");
    const late = fleet.node("web-02", { restart: { shell: `echo late >> '${fleet.log}'`, acquire: { timeout: "0.2 s" } } });
    const { code, result } = await late.runAction("restart");
    expect(code).toBe(75);
    expect(result.message).toMatch(/^gave up after [\d.]+ s, 1st in line for restart; web-01: restart for [\d.]+ s$/);
    const again = await late.run("resume", "--json");
    expect(again.code).toBe(75);
    expect(JSON.parse(again.stdout)).toMatchObject({ results: [{ outcome: "timed-out", attempts: 2 }] });
    go.give();
    expect((await holder.ended).code).toBe(0);
    const patient = fleet.node("web-02", { restart: { shell: `echo late >> '${fleet.log}'` } });
    const resumed = await patient.run("resume", "--json");
    expect(resumed.code).toBe(0);
    expect(JSON.parse(resumed.stdout)).toMatchObject({ results: [{ action: "restart", outcome: "ran" }] });
    expect(fleet.lines().at(-1)).toBe("late");
    expect(patient.journal("restart")).toEqual({});
  });

  test.skipIf(noTerminal !== null)(`on a terminal one live line is rewritten in place${reason()}`, async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const holder = nodeOf(fleet, "web-01", go.path).start("run", "restart");
    await fleet.untilLine("start web-01");
    const node = nodeOf(fleet, "web-02", go.path);
    const terminal = startOnTerminal(["-c", node.config, "run", "restart"], node.directory);
    const frame = /\r<esc>\[2K1st in line for restart, behind web-01: restart for [\d.]+ s/g;
    await until(() => (legible(terminal.shown()).match(frame) ?? []).length >= 5, "the line to be rewritten");
    expect(legible(terminal.shown()).replace(frame, ""), "nothing but the live line").toBe("");
    go.give();
    expect(await terminal.ended).toBe(0);
    expect((await holder.ended).code).toBe(0);
    const after = legible(terminal.shown()).split("1st in line for").at(-1) as string;
    expect(after).toContain("\r<esc>[2K");
    expect(after.replace(/<esc>\[[\d;]*[A-Za-z]/g, "")).toMatch(/holdline: running restart\r\n(.*\r\n)*restart: ran in /);
  });

  test.skipIf(noTerminal !== null)(`Ctrl-C while waiting leaves the queue and a clean line${reason()}`, async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const holder = nodeOf(fleet, "web-01", go.path).start("run", "restart");
    await fleet.untilLine("start web-01");
    const node = nodeOf(fleet, "web-02", go.path);
    const terminal = startOnTerminal(["-c", node.config, "run", "restart"], node.directory);
    await until(() => terminal.shown().includes("1st in line"), "the line to be shown");
    terminal.type("\x03");
    expect(await within(terminal.ended, "the waiter to end")).toBe(130);
    expect(legible(terminal.shown())).toMatch(
      /\r<esc>\[2K(<esc>\[31m)?holdline: interrupted by SIGINT; nothing was run(<esc>\[0m)?\r\n$/,
    );
    expect(await fleet.queue("restart")).toHaveLength(1);
    go.give();
    expect((await holder.ended).code).toBe(0);
  });
});

describe("on zookeeper, through a faulty network", () => {
  test("nothing is said while nothing changes, however often it looks", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const go = fleet.signalFile();
    const holder = nodeOf(fleet, "web-01", go.path).start("run", "restart");
    await fleet.untilLine("start web-01");
    const waiter = fleet
      .node("web-02", actionsOf(fleet, go.path), { coordinator: fleet.urlThrough(proxy) })
      .start("run", "restart");
    await until(() => waitingLines(waiter).length > 0, "the waiter to say where it stands");
    const before = proxy.count(Opcode.getChildren);
    await until(() => proxy.count(Opcode.getChildren) >= before + 10, "ten more looks");
    expect(waitingLines(waiter)).toHaveLength(1);
    go.give();
    for (const agent of [holder, waiter]) expect((await agent.ended).code).toBe(0);
  });

  test("a waiter whose connection is cut keeps its place", async () => {
    const { fleet, proxy, go, agents, queue } = await threeInLine();
    const waiter = agents[1] as Cli;
    await proxy.cut();
    await until(() => proxy.connections === 1, "the waiter to be back");
    expect((await fleet.queue("restart")).map(({ id }) => id)).toEqual(queue.map(({ id }) => id));
    go.give();
    for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
    expect(proxy.sessions).toHaveLength(1);
    expect(waiter.stderr()).not.toContain("joined again");
    expect(fleet.lines().filter((line) => line.startsWith("start"))).toEqual(["start web-01", "start web-02", "start web-03"]);
  });

  test("a waiter whose session has expired joins anew at the end, and says so", async () => {
    const { fleet, proxy, go, agents, queue } = await threeInLine();
    const waiter = agents[1] as Cli;
    await expireSession(inject("zookeeper"), proxy.sessions.at(-1) as SessionCredentials);
    await until(() => waiter.stderr().includes("joined again at the end of the line"), "the waiter to say so");
    const after = await fleet.untilQueue("restart", 3);
    expect(after.map(({ owner }) => owner.node)).toEqual(["web-01", "web-03", "web-02"]);
    expect(after[1]?.id).toBe(queue[2]?.id);
    go.give();
    for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
    expect(fleet.lines().filter((line) => line.startsWith("start"))).toEqual(["start web-01", "start web-03", "start web-02"]);
  });

  test("SIGTERM ends a waiter whose server is silent at once, and its place goes with its session", async () => {
    // So long that nobody could wait here for it to be over.
    const { fleet, proxy, go, agents } = await threeInLine({ session_timeout: "60 s" });
    const waiter = agents[1] as Cli;
    proxy.freeze();
    waiter.kill("SIGTERM");
    expect((await within(waiter.ended, "the waiter to end")).code).toBe(143);
    await expireSession(inject("zookeeper"), proxy.sessions.at(-1) as SessionCredentials);
    expect((await fleet.queue("restart")).map(({ owner }) => owner.node)).toEqual(["web-01", "web-03"]);
    go.give();
    for (const agent of [agents[0], agents[2]] as Cli[]) expect((await agent.ended).code).toBe(0);
    expect(fleet.lines().filter((line) => line.startsWith("start"))).toEqual(["start web-01", "start web-03"]);
  });
});

/** A holder, a waiter behind a proxy, and one more behind that. */
async function threeInLine(settings: Readonly<Record<string, unknown>> = {}) {
  const fleet = await openFleet("zookeeper");
  const proxy = await openProxy();
  const go = fleet.signalFile();
  const agents = [nodeOf(fleet, "web-01", go.path).start("run", "restart")];
  await fleet.untilLine("start web-01");
  agents.push(
    fleet.node("web-02", actionsOf(fleet, go.path), { coordinator: fleet.urlThrough(proxy), settings }).start("run", "restart"),
  );
  await fleet.untilQueue("restart", 2);
  agents.push(nodeOf(fleet, "web-03", go.path).start("run", "restart"));
  const queue: readonly Claim[] = await fleet.untilQueue("restart", 3);
  return { fleet, proxy, go, agents, queue };
}

function actionsOf(fleet: Fleet, go: string): Readonly<Record<string, unknown>> {
  return { restart: { shell: fleet.waitingShell(go) } };
}

function nodeOf(fleet: Fleet, name: string, go: string, more: Readonly<Record<string, unknown>> = {}): Node {
  return fleet.node(name, { ...actionsOf(fleet, go), ...more });
}

interface WaitingLine {
  readonly place: number;
  readonly behind?: { readonly node: string };
}

/** The lines of an agent's log that say where it stands in line. */
function waitingLines(agent: Cli): WaitingLine[] {
  const whole = agent.stderr().split("\n").slice(0, -1);
  return whole
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as WaitingLine)
    .filter(({ place }) => place !== undefined);
}

/** Text with its escape characters to be read. */
function legible(text: string): string {
  return text.replaceAll("\u001b", "<esc>");
}

function reason(): string {
  return noTerminal === null ? "" : ` (skipped: ${noTerminal})`;
}
