// The structured data of claims, with the built program: a claim brings it, its id lets anyone change it in place (also while an
// action runs under the claim), and the history keeps it.
import { writeFileSync } from "node:fs";
import { describe, expect, inject, test } from "vitest";
import { parse } from "yaml";
import type { Claim } from "../../src/locks/claim.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import { expireSession, type SessionCredentials } from "../support/zookeeper-frames.js";
import { type Fleet, type Node, openFleet, openProxy, PROGRAM, STORES } from "./fleet.js";

failOnLeaks();

async function acquire(node: Node, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await node.run("acquire", ...args);
  expect(code, stderr).toBe(0);
  return stdout.trim();
}

async function only(fleet: Fleet, lock: string): Promise<Claim> {
  const [claim, ...others] = await fleet.queue(lock);
  expect(others).toEqual([]);
  return claim as Claim;
}

async function ended(fleet: Fleet, lock: string): Promise<unknown> {
  return (await fleet.coordinator()).history(lock, 10);
}

describe.each(STORES)("on %s", (kind) => {
  test("data is given with a claim, as YAML or as a file of it", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    writeFileSync(`${node.directory}/data.yaml`, "# what is going on\nstatus: READY\nhosts: [a, b]\nversion: '1.10'\n");
    const expected = { status: "READY", hosts: ["a", "b"], version: "1.10" };
    const id = await acquire(node, "db", "--data", "@data.yaml");
    expect(await only(fleet, "db")).toMatchObject({ id, data: expected });
    const shown = await node.run("data", "db", id);
    expect([shown.code, shown.stderr, parse(shown.stdout)]).toEqual([0, "", expected]);
    const run = await node.run("exec", "web", "--data", "@./data.yaml", "--durable", "--", "true");
    expect(run.code).toBe(0);
    expect(await ended(fleet, "web")).toMatchObject([{ event: "released", data: expected }]);
  });

  test("data is changed in place, and the history has what it was in the end", async () => {
    const fleet = await openFleet(kind);
    const [ann, bob] = [fleet.node("web-01", {}), fleet.node("web-02", {})];
    const id = await acquire(ann, "db", "--data", "{ status: BUSY, deploy: { by: ann } }");
    const before = await only(fleet, "db");
    expect((await bob.run("data", "db", id, "--set", "status=READY", "--set", "deploy.tries=3", "--set", "note=#1")).code).toBe(64);
    expect((await only(fleet, "db")).revision, "all or nothing").toBe(before.revision);
    const changed = await bob.run("data", "db", id, "--set", "status=READY", "--set", "deploy.tries=3");
    expect([changed.code, parse(changed.stdout)]).toEqual([0, { status: "READY", deploy: { by: "ann", tries: 3 } }]);
    expect((await bob.run("data", "db", id, "--merge", "{ deploy: { to: b } }", "--json")).stdout).toBe(
      '{"data":{"status":"READY","deploy":{"by":"ann","tries":3,"to":"b"}}}\n',
    );
    const after = await only(fleet, "db");
    expect({ ...after, revision: before.revision, data: before.data }, "nothing but the data").toEqual(before);
    expect(after.revision).not.toBe(before.revision);
    writeFileSync(`${bob.directory}/all.yaml`, "[1, 2]");
    expect((await bob.run("data", "db", id, "--replace", "@all.yaml")).code).toBe(0);
    expect((await ann.run("release", "db", id)).code).toBe(0);
    expect(await ended(fleet, "db")).toMatchObject([{ claim: id, event: "released", data: [1, 2] }]);
    const gone = await bob.run("data", "db", id, "--set", "a=1");
    expect([gone.code, gone.stdout]).toEqual([1, ""]);
    expect(gone.stderr).toContain(`holdline: no claim ${id} holds db: it has ended, or still waits\n`);
  });

  test("no change is lost when many are made at once", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const id = await acquire(node, "db");
    const keys = ["a", "b", "c", "d", "e", "f"];
    const all = await Promise.all(keys.map((key) => node.run("data", "db", id, "--set", `nodes.${key}=done`)));
    expect(all.map(({ code, stderr }) => `${code} ${stderr}`)).toEqual(keys.map(() => "0 "));
    expect((await only(fleet, "db")).data).toEqual({ nodes: Object.fromEntries(keys.map((key) => [key, "done"])) });
  });

  test("too much of it is refused, and leaves what there was", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    writeFileSync(`${node.directory}/half.yaml`, `half: ${"x".repeat(40_000)}`);
    const id = await acquire(node, "db", "--data", "@half.yaml");
    const { code, stderr } = await node.run("data", "db", id, "--set", `more=${"y".repeat(40_000)}`);
    const words = "changed like this, the data has more than 65536 bytes as JSON, which is the most";
    expect([code, stderr]).toEqual([64, `holdline: ${words}\n`]);
    expect(Object.keys((await only(fleet, "db")).data as object)).toEqual(["half"]);
  });

  test.each([
    ["ends well", "0", 0],
    ["fails", "1", 4],
  ])("the claim of a running action takes it, and the agent goes on to let go of it: it %s", async (_what, exit, code) => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const shell = `${fleet.waitingShell(go.path)}; exit ${exit}`;
    const agent = fleet.node("web-01", { restart: { shell, data: { ticket: "OPS-1" } } }).start("run", "restart", "--json");
    await fleet.untilLine("start web-01");
    const { id, fencingToken } = await only(fleet, "restart");
    const bob = fleet.node("web-02", {});
    for (const text of ["status=READY", "status=LATE"]) expect((await bob.run("data", "restart", id, "--set", text)).code).toBe(0);
    const expected = { ticket: "OPS-1", status: "LATE" };
    expect(await only(fleet, "restart")).toMatchObject({ id, fencingToken, data: expected, alive: true });
    go.give();
    expect((await within(agent.ended, "the agent to end")).code, agent.stderr()).toBe(code);
    if (code === 0) {
      expect(await fleet.queue("restart")).toEqual([]);
      expect(await ended(fleet, "restart")).toMatchObject([{ claim: id, event: "released", by: "ops@web-01", data: expected }]);
    } else {
      expect(await only(fleet, "restart")).toMatchObject({ id, fencingToken, data: expected, failure: { exitCode: 1 } });
    }
  });

  test("the command itself says how far it is", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const say = `'${process.execPath}' '${PROGRAM}' -c '${node.config}' data "$HOLDLINE_LOCK" "$HOLDLINE_CLAIM" --set step=`;
    const { code, stderr } = await node.run("exec", "restart", "--durable", "--", "sh", "-c", `${say}1 && ${say}2`);
    expect(code, stderr).toBe(0);
    expect(await ended(fleet, "restart")).toMatchObject([{ event: "released", data: { step: 2 } }]);
  });

  test("an ephemeral claim shows its data and is not written to", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const agent = fleet
      .node("web-01", {})
      .start("exec", "backup", "--data", "{ a: 1 }", "--", "sh", "-c", fleet.waitingShell(go.path));
    await fleet.untilLine("start web-01");
    const { id } = await only(fleet, "backup");
    const bob = fleet.node("web-02", {});
    expect(await bob.run("data", "backup", id)).toMatchObject({ code: 0, stdout: "a: 1\n" });
    const { code, stdout, stderr } = await bob.run("data", "backup", id, "--set", "a=2");
    expect([code, stdout]).toEqual([77, ""]);
    expect(stderr).toContain(`holdline: the claim ${id} on backup is ephemeral, and lives with its process\n`);
    go.give();
    expect((await agent.ended).code).toBe(0);
  });
});

describe("on zookeeper, through a faulty network", () => {
  test("an agent whose session ends after its data was changed lives for the others again, and lets go in the end", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const go = fleet.signalFile();
    const actions = { restart: { shell: fleet.waitingShell(go.path) } };
    const agent = fleet.node("web-01", actions, { coordinator: fleet.urlThrough(proxy) }).start("run", "restart");
    await fleet.untilLine("start web-01");
    const { id } = await only(fleet, "restart");
    expect((await fleet.node("web-02", {}).run("data", "restart", id, "--set", "status=READY")).code).toBe(0);
    await expireSession(inject("zookeeper"), proxy.sessions.at(-1) as SessionCredentials);
    await until(() => proxy.sessions.length === 2, "a new session");
    await until(async () => (await only(fleet, "restart")).alive, "the agent to be seen to live");
    go.give();
    expect((await within(agent.ended, "the agent to end")).code, agent.stderr()).toBe(0);
    expect(await ended(fleet, "restart")).toMatchObject([{ claim: id, event: "released", data: { status: "READY" } }]);
  });
});
