// A fleet with credentials: nobody else may touch its claims, and its password is seen nowhere.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import type { Claim } from "../../src/locks/claim.js";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient, type PlainClient } from "../support/plain-client.js";
import { until } from "../support/wait.js";
import { Fleet, openFleet, openProxy } from "./fleet.js";
import { noTerminal, startOnTerminal } from "./terminal.js";

failOnLeaks();

const USER = "ops";
// With all that means something in a URL, and words that nothing else has on every side of it.
const PASSWORD = "open:sesame@barley/%oats";
const LEAK = /sesame|barley|oats|mustard/;

test("everything that is created belongs to the credentials of the URL alone", async () => {
  const { fleet, root } = await openGuardedFleet();
  const { end } = await busy(fleet);
  const client = await openClient(`${USER}:${PASSWORD}`);
  const nodes = await walk(client, root);
  // Claims that hold and that wait, a liveness entry, the history and the clock.
  for (const part of [/\/locks\/restart\/_c_.*-lock-/, /\/alive\/./, /\/history\/_h_backup=/, /\/clock$/]) {
    expect(
      nodes.some((path) => part.test(path)),
      `${part} among ${nodes.join(", ")}`,
    ).toBe(true);
  }
  const digest = createHash("sha1").update(`${USER}:${PASSWORD}`).digest("base64");
  for (const path of nodes) expect(await client.acl(path), path).toEqual([`digest ${USER}:${digest} 31`]);
  await end();
});

describe.each([
  ["no credentials", null],
  ["another password", `${USER}:mustard`],
  ["another user", `mallory:${PASSWORD}`],
])("with %s", (_who, credentials) => {
  test("a claim can neither be deleted nor changed, and its queue not be joined", async () => {
    const { fleet, root } = await openGuardedFleet();
    const { end } = await busy(fleet);
    const [held] = (await fleet.queue("restart")) as [Claim];
    const own = await openClient(`${USER}:${PASSWORD}`);
    const client = await openClient(credentials);
    for (const path of await walk(own, root)) {
      if (path === root) continue;
      await expect(client.remove(path), `remove ${path}`).rejects.toThrow(/NO_AUTH/);
      await expect(client.write(path, "x"), `write ${path}`).rejects.toThrow(/NO_AUTH/);
    }
    await expect(client.create(`${root}/locks/restart/_c_x-lock-`, "", "persistent-sequential")).rejects.toThrow(/NO_AUTH/);
    expect((await fleet.queue("restart"))[0]).toEqual(held);
    await end();
  });

  test("every command ends with 77 and a clear word, and nothing changes", async () => {
    const { fleet, plainUrl } = await openGuardedFleet();
    const { end } = await busy(fleet);
    const before = await fleet.queue("restart");
    const coordinator = credentials === null ? plainUrl : withCredentials(plainUrl, credentials);
    const stranger = fleet.node("stranger", { restart: { shell: `echo stranger >> '${fleet.log}'` } }, { coordinator });
    for (const args of [
      ["clear", "restart", "--reason", "mine now", "--force"],
      ["clear", "restart", "--claim", before[0]?.id ?? "", "--reason", "mine now", "--force"],
      ["locks"],
      ["history"],
      ["run", "restart"],
      ["resume"],
      ["exec", "restart", "--", "sh", "-c", `echo stranger >> '${fleet.log}'`],
      ["exec", "restart", "--durable", "--", "sh", "-c", `echo stranger >> '${fleet.log}'`],
    ]) {
      const { code, stdout, stderr } = await stranger.run(...args);
      expect([code, stdout], `${args.join(" ")}: ${stderr}`).toEqual([77, ""]);
      expect(stderr).toMatch(/^holdline: ZooKeeper refuses this: the znodes belong to other credentials$/m);
      expect(stderr).not.toMatch(LEAK);
    }
    expect(await fleet.queue("restart")).toEqual(before);
    await end();
    expect(fleet.lines()).not.toContain("stranger");
  });
});

test("with the right credentials an admin clears", async () => {
  const { fleet } = await openGuardedFleet();
  await fleet.node("web-01", { restart: { command: ["false"] } }).runAction("restart");
  expect((await fleet.node("admin", {}).run("clear", "restart", "--reason", "fixed")).code).toBe(0);
  expect(await fleet.queue("restart")).toEqual([]);
});

describe("the password is seen nowhere", () => {
  test("not in what a run says, nor in its process, nor in its command's, nor in the store", async () => {
    const { fleet, root } = await openGuardedFleet();
    const go = fleet.signalFile();
    const dump = `${fleet.directory}/dump`;
    const shell = `env > '${dump}'; tr '\\0' ' ' < /proc/$$/cmdline >> '${dump}'; ${fleet.waitingShell(go.path)}; echo broken; exit 1`;
    const node = fleet.node("web-01", { restart: { shell, data: { ticket: 1 } } });
    const agent = node.start("-v", "run", "restart", "--json");
    await fleet.untilLine("start web-01");
    for (const file of ["cmdline", "comm", "environ", "status"])
      nothingIn(readFileSync(`/proc/${agent.pid}/${file}`, "utf8"), `/proc/PID/${file}`);
    nothingIn(readFileSync(dump, "utf8"), "the command's environment and arguments");
    nothingIn(JSON.stringify(await fleet.queue("restart")), "the running claim");
    go.give();
    const { code, stdout, stderr } = await agent.ended;
    expect(code).toBe(4);
    expect(stderr, "there is a log at all").toContain("connected to ZooKeeper");
    nothingIn(stdout + stderr, "what the run said");

    const admin = fleet.node("admin", {});
    for (const args of [
      ["-v", "locks"],
      ["-v", "locks", "--json"],
      ["-v", "check"],
      ["-v", "check", "--json"],
      ["-v", "clear", "restart", "--reason", "enough", "--json"],
      ["-v", "history"],
      ["-v", "history", "--json"],
      ["-v", "exec", "backup", "--", "env"],
      ["-v", "exec", "backup", "--durable", "--", "env"],
    ]) {
      const ended = await admin.run(...args);
      expect(ended.code, args.join(" ")).toBe(0);
      nothingIn(ended.stdout + ended.stderr, args.join(" "));
    }
    const client = await openClient(`${USER}:${PASSWORD}`);
    for (const path of await walk(client, root)) nothingIn(`${path} ${await client.read(path)}`, `the znode ${path}`);
  });

  test.skipIf(noTerminal !== null)("not in what is shown on a terminal", async () => {
    const { fleet } = await openGuardedFleet();
    const node = fleet.node("web-01", { hello: { command: ["true"] } });
    for (const args of [
      ["-v", "run", "--all"],
      ["-v", "check"],
    ]) {
      const terminal = startOnTerminal(["-c", node.config, ...args], node.directory);
      expect(await terminal.ended).toBe(0);
      nothingIn(terminal.shown(), args.join(" "));
    }
  });

  test("not when the server cannot be reached", async () => {
    const { fleet } = await openGuardedFleet();
    const proxy = await openProxy();
    await proxy.welcome("refuse");
    const coordinator = withCredentials(`zookeeper://${proxy.address}/x`, `${USER}:${PASSWORD}`);
    const node = fleet.node("web-01", { hello: { command: ["true"] } }, { coordinator, settings: { connect_timeout: "0.3 s" } });
    for (const args of [
      ["-v", "locks", "--json"],
      ["-v", "run", "--all", "--json"],
      ["-v", "exec", "x", "--json", "--", "true"],
    ]) {
      const { code, stdout, stderr } = await node.run(...args);
      expect(code, args.join(" ")).toBe(69);
      nothingIn(stdout + stderr, args.join(" "));
    }
  });

  test.each([
    ["a port that is none", `zookeeper://${USER}:${encodeURIComponent(PASSWORD)}@zk1:port/x`],
    ["an unknown scheme", `zoo://${USER}:${encodeURIComponent(PASSWORD)}@zk1/x`],
    ["a password that was not encoded", `zookeeper://${USER}:${PASSWORD}@zk1:2181/x`],
    ["no server", `zookeeper://${USER}:${encodeURIComponent(PASSWORD)}@/x`],
  ])("not when the URL is wrong: %s", async (_what, coordinator) => {
    const fleet = await openFleet("zookeeper");
    const node = fleet.node("web-01", {}, { coordinator });
    for (const args of [
      ["-v", "locks"],
      ["-v", "check", "--json"],
    ]) {
      const { code, stdout, stderr } = await node.run(...args);
      expect(code, stderr).toBe(78);
      nothingIn(stdout + stderr, args.join(" "));
    }
    const sane = fleet.node("web-02", {});
    const flagged = await sane.run("--coordinator", coordinator, "locks", "--json");
    expect(flagged.code).toBe(78);
    nothingIn(flagged.stdout + flagged.stderr, "--coordinator");
  });
});

function nothingIn(text: string, where: string): void {
  const at = text.search(LEAK);
  expect(at < 0 ? null : text.slice(Math.max(0, at - 80), at + 80), `the password in ${where}`).toBeNull();
}

function withCredentials(url: string, credentials: string): string {
  const [user = "", ...password] = credentials.split(":");
  return url.replace("://", `://${user}:${encodeURIComponent(password.join(":"))}@`);
}

async function openGuardedFleet() {
  const { url: plainUrl, directory } = await openFleet("zookeeper");
  const root = new URL(plainUrl.replace("zookeeper:", "http:")).pathname;
  return { fleet: new Fleet("zookeeper", withCredentials(plainUrl, `${USER}:${PASSWORD}`), directory), plainUrl, root };
}

/** A history, a holder and a waiter. */
async function busy(fleet: Fleet) {
  const go = fleet.signalFile();
  const actions = { restart: { shell: fleet.waitingShell(go.path) } };
  await fleet.node("web-01", {}).run("exec", "backup", "--durable", "--", "true");
  const agents = [fleet.node("web-01", actions).start("run", "restart")];
  await fleet.untilLine("start web-01");
  agents.push(fleet.node("web-02", actions).start("run", "restart"));
  await fleet.untilQueue("restart", 2);
  await until(() => agents[1]?.stderr().includes("in line for") === true, "the second to wait");
  return {
    end: async () => {
      go.give();
      for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
    },
  };
}

async function openClient(credentials: string | null): Promise<PlainClient> {
  const client = await openPlainClient(inject("zookeeper"), credentials);
  onTestFinished(() => client.close());
  return client;
}

/** The paths of a znode and all below it. */
async function walk(client: PlainClient, path: string): Promise<string[]> {
  const below = await Promise.all((await client.children(path)).map((name) => walk(client, `${path}/${name}`)));
  return [path, ...below.flat()];
}
