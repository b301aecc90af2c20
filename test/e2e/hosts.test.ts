// Locks on hosts as people meet them: the built program, on real stores. The details of its options are in
// test/cli/hosts.test.ts.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import { type Ended, type Fleet, type Node, type NodeOptions, openFleet, STORES } from "./fleet.js";

failOnLeaks();

const DEPENDENCIES = { hv01: ["dc01", "vmm01"], dc01: ["dc02"], dc02: ["dc01"] };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\n$/;
const ALL = ["dc01", "dc02", "hv01"];

function nodeOf(fleet: Fleet, name: string, settings: NodeOptions["settings"] = {}): Node {
  return fleet.node(name, {}, { settings: { dependencies: DEPENDENCIES, ...settings } });
}

/** Locks, and gives the id. */
async function locked(node: Node, ...args: readonly string[]): Promise<string> {
  const ended = await node.run("lock", ...args);
  expect([ended.code, ended.stderr]).toEqual([0, expect.stringContaining("locked ")]);
  expect(ended.stdout).toMatch(UUID);
  return ended.stdout.trim();
}

async function idsOn(fleet: Fleet, hosts: readonly string[]): Promise<string[][]> {
  return Promise.all(hosts.map(async (host) => (await fleet.queue(`host/${host}`)).map(({ id }) => id)));
}

describe.each(STORES)("on %s", (kind) => {
  test("the short and the full name of a host that is known are one lock; of another it is said that they are two", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "web-07", { node: "web-07.example.com", dependencies: { "hv01.example.com": ["dc01"] } });
    const locks = async () => (await (await fleet.coordinator()).list()).join(" ");
    const own = await locked(node, "web-07", "--type", "host");
    expect(await locks()).toBe("host/web-07.example.com");
    expect((await node.run("test", "web-07")).code).toBe(0);
    expect((await node.run("lock", "WEB-07.example.com.", "--wait", "0")).code).toBe(2);
    expect((await node.run("unlock", own)).code).toBe(0);
    const behind = await locked(node, "dc01.example.com");
    expect(await locks()).toBe("host/dc01 host/hv01.example.com");
    expect((await node.run("status", "hv01")).stdout).toMatch(/^host\/hv01\.example\.com is locked/);
    expect((await node.run("unlock", behind)).code).toBe(0);

    await locked(node, "db01.example.com");
    for (const args of [
      ["test", "db01"],
      ["status", "db01"],
      ["lock", "db01"],
    ]) {
      if (args[0] !== "lock") expect((await node.run("clear", "host/db01", "--reason", "x")).code).toBeLessThan(2);
      expect((await node.run(...args)).stderr, args.join(" ")).toContain(
        "db01.example.com is locked as well, and is another lock than db01",
      );
    }
    await locked(node, "db02");
    expect((await node.run("lock", "db02.example.com")).stderr).toContain(
      "db02 is locked as well, and is another lock than db02.example.com",
    );
  });

  test("a host is locked with all that it depends on, under one id, and unlocked at once", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "web-07");
    expect((await node.run("deps", "dc01")).stdout).toBe("dc02\nhv01\n");
    const ended = await node.run("lock", "DC01", "--caller", "OPS-1", "--description", "new disks", "--data", "{ step: 1 }");
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(UUID);
    expect(ended.stderr).toContain("locked dc01, with dc02 and hv01");
    const id = ended.stdout.trim();
    expect(await idsOn(fleet, ALL)).toEqual([[id], [id], [id]]);
    const claims = await (await fleet.coordinator()).find(id);
    expect(new Set(claims.map(({ fencingToken }) => fencingToken)).size, "one transaction").toBe(1);
    expect(claims[0]).toMatchObject({
      durable: true,
      owner: { node: "web-07", principal: "ops@web-07", action: null, process: null },
      lease: { type: "generic", caller: "OPS-1", path: null, locks: ALL.map((host) => `host/${host}`) },
      expiresAt: null,
      reason: "new disks",
      data: { step: 1 },
    });

    expect(await Promise.all(["dc02", "vmm01"].map(async (host) => (await node.run("test", host)).code))).toEqual([0, 1]);
    expect(await node.run("unlock", id, "--ensure-lock")).toMatchObject({ code: 0, stdout: "" });
    expect(await idsOn(fleet, ALL)).toEqual([[], [], []]);
    const history = await (await fleet.coordinator()).history(null, 10);
    expect(history.map(({ lock, claim, event, by, description }) => ({ lock, claim, event, by, description }))).toHaveLength(3);
    expect(history[0]).toMatchObject({
      claim: id,
      event: "released",
      by: "ops@web-07",
      description: "new disks",
      data: { step: 1 },
    });

    expect(await node.run("unlock", id)).toMatchObject({ code: 0, stdout: "" });
    expect(await node.run("unlock", id, "--ensure-lock")).toMatchObject({ code: 1, stdout: "" });
  });

  test("generic and file locks overlap; a host lock waits for them, holds up later ones, and is granted when they have gone", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "web-07");
    const generic = await locked(node, "dc01", "--no-dependencies", "--caller", "OPS-1", "--description", "backup");
    const file = await locked(node, "--file", String.raw`\\DC01\share\report.xlsx`, "--no-dependencies");

    const held = await node.run("lock", "dc01", "--type", "host", "--retry", "1");
    expect([held.code, held.stdout]).toEqual([2, `${generic}\n${file}\n`]);
    expect(held.stderr).toContain("Lock held: host/dc01");
    expect(held.stderr).toMatch(/web-07: generic by ops@web-07, since .*, for OPS-1: backup/);
    expect(await idsOn(fleet, ["dc01", "dc02", "hv01"]), "all or nothing").toEqual([[generic, file], [], []]);

    const waiting = nodeOf(fleet, "admin-01").start("lock", "dc01", "--type", "host", "--wait", "none");
    await fleet.untilQueue("host/dc01", 3);
    const late = await node.run("lock", "dc01", "--wait", "0");
    expect([late.code, late.stdout]).toEqual([2, `${generic}\n${file}\n`]);
    const status = JSON.parse((await node.run("status", "dc01", "--json")).stdout) as Record<string, unknown>;
    expect(status).toMatchObject({
      lock: "host/dc01",
      locked: true,
      types: ["generic", "file"],
      holders: [{ id: generic }, { id: file, lease: { path: String.raw`\\DC01\share\report.xlsx` } }],
      waiting: [{ owner: { node: "admin-01" }, lease: { type: "host" } }],
    });
    // First in the queue of dc02, and yet not locked: the lock is not all there.
    expect((await node.run("test", "dc02")).code).toBe(1);

    await node.run("unlock", generic);
    await node.run("unlock", file);
    const granted = await within(waiting.ended, "the host lock to be granted");
    expect(granted).toMatchObject({ code: 0, stdout: expect.stringMatching(UUID) as string });
    expect((await node.run("test", "hv01", "--type", "generic", "--type", "host")).code).toBe(0);
    expect((await node.run("test", "hv01", "--type", "generic", "--type", "file")).code).toBe(1);
    expect((await node.run("test", "dc01", "--json", "--type", "host")).stdout).toBe('{"locked":true,"types":["host"]}\n');
  });

  test("a wait that is over, or is broken off, leaves no claim behind on any host", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "web-07");
    const host = await locked(node, "hv01", "--type", "host");
    const late = await node.run("lock", "dc01", "--retry", "3", "--sleep", "0.1 s");
    expect([late.code, late.stdout]).toEqual([2, `${host}\n`]);
    expect(late.stderr).toContain("Lock held: host/hv01");
    expect(await idsOn(fleet, ALL)).toEqual([[], [], [host]]);

    const waiting = node.start("lock", "dc01");
    await fleet.untilQueue("host/hv01", 2);
    waiting.kill("SIGINT");
    expect(await within(waiting.ended, "the wait to end")).toMatchObject({ code: 130, stdout: "" });
    expect(await idsOn(fleet, ALL)).toEqual([[], [], [host]]);

    const killed = node.start("lock", "dc01");
    await fleet.untilQueue("host/hv01", 2);
    killed.kill("SIGKILL");
    await killed.ended;
    await until(async () => (await idsOn(fleet, ALL)).flat().length === 1, "a dead waiter's claims to go");
  });

  test("two people who lock mutually dependent hosts from both ends at once both have their turn", async () => {
    const fleet = await openFleet(kind);
    const nodes = [nodeOf(fleet, "web-07"), nodeOf(fleet, "web-08")] as const;
    const both = async (): Promise<Ended[]> =>
      Promise.all(
        nodes.map(async (node, index) => {
          const ended = await node.run("lock", index === 0 ? "dc01" : "dc02", "--type", "host", "--wait", "50 s");
          const id = ended.stdout.trim();
          // The other may stand in line; in hand is only this one.
          const queues = await Promise.all(ALL.map((host) => fleet.queue(`host/${host}`)));
          const inHand = queues.map((queue) => queue.filter(({ durable }) => durable).map((claim) => claim.id));
          expect(inHand, "all hosts are the one's who has the lock").toEqual([[id], [id], [id]]);
          await node.run("unlock", id, "--ensure-lock");
          return ended;
        }),
      );
    for (let round = 0; round < 3; round += 1) expect((await both()).map(({ code }) => code)).toEqual([0, 0]);
    expect(await idsOn(fleet, ALL)).toEqual([[], [], []]);
  });

  test("a file may be locked twice, and who is refused is told which file it is", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "web-07");
    await locked(node, "--file", "smb://fs01/a.xlsx");
    await locked(node, "--file", "smb://fs01/a.xlsx");
    const refused = await node.run("lock", "--file", "smb://fs01/b.xlsx", "--ensure-unlock");
    expect(refused.code).toBe(2);
    expect(refused.stderr.split("\n").filter((line) => line.includes(", smb://fs01/a.xlsx"))).toHaveLength(2);
  });

  test("--ensure-unlock is for one alone: of many who ask at once, one has it and the others are told who", async () => {
    const fleet = await openFleet(kind);
    const nodes = ["web-07", "web-08", "web-09"].map((name) => nodeOf(fleet, name));
    const asked = await Promise.all(nodes.map((node) => node.run("lock", "dc01", "--ensure-unlock")));
    const [winner, ...others] = [...asked].sort((one, other) => Number(one.code) - Number(other.code));
    expect([winner?.code, ...others.map(({ code }) => code)]).toEqual([0, 2, 2]);
    await fleet.untilQueue("host/dc01", 1);
    expect((await fleet.queue("host/dc01"))[0]?.id).toBe(winner?.stdout.trim());
    expect(others.every(({ stderr }) => stderr.includes("Lock held: host/"))).toBe(true);
    // A generic lock would be shared by any other.
    expect(await nodes[0]?.run("lock", "hv01")).toMatchObject({ code: 0 });
  });

  test("a lock with a TTL is over by itself, and whoever looks finds the host unlocked", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "web-07", { locks: { "host/vmm01": { ttl: "100 ms", principal: "vm team" } } });
    await locked(node, "vmm01");
    await until(async () => (await node.run("test", "vmm01")).code === 1, "the lock to be over");
    expect(await idsOn(fleet, ["vmm01", "hv01"])).toEqual([[], []]);
    const [ended] = await (await fleet.coordinator()).history("host/hv01", 1);
    expect(ended).toMatchObject({ event: "expired", by: null, owner: { principal: "vm team" } });
    const unending = await locked(node, "vmm01", "-t", "none");
    expect((await fleet.queue("host/vmm01"))[0]).toMatchObject({ id: unending, expiresAt: null });
  });

  test("status shows a lock of the very name too, and its data as Pylok's users know it", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "web-07");
    const free = await node.run("status", "db", "--format", "yaml");
    expect([free.code, free.stdout]).toEqual([0, "lock_file_status: unlocked\nlock_action: status\nlock_file_location: null\n"]);
    const lease = (await node.run("acquire", "db", "--data", "{ status: READY, step: 1 }")).stdout.trim();
    expect((await node.run("status", "db", "--format", "yaml")).stdout).toBe(
      "lock_file_status: locked\nlock_action: status\nlock_file_location: db\nstatus: READY\nstep: 1\n",
    );
    const host = await locked(node, "db");
    const text = (await node.run("status", "db")).stdout;
    expect(text).toContain("host/db is locked: generic");
    expect(text).toContain("db is locked: lease");
    expect(text).toContain(`claim ${lease}`);
    expect(text).toContain(`claim ${host}`);
  });

  test("the map may be a file, named in the configuration or on the command line", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "web-07", { dependencies: "map.json" });
    expect(await node.run("deps", "dc01")).toMatchObject({ code: 78 });
    writeFileSync(join(node.directory, "map.json"), '{"power": ["dc01"]}');
    expect((await node.run("deps", "dc01")).stdout).toBe("power\n");
    writeFileSync(join(node.directory, "other.yaml"), "cooling: dc01\n");
    expect((await node.run("deps", "dc01", "--dependencies", "other.yaml")).stdout).toBe("cooling\n");
    const id = await locked(node, "dc01", "--dependencies", "other.yaml");
    expect(await idsOn(fleet, ["dc01", "cooling", "power"])).toEqual([[id], [id], []]);
  });

  test("a host's lock is one, whoever takes it and however its name is written", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-07", { restart: { lock: "host/DC01", command: ["true"], acquire: { timeout: 0 } } });
    const id = (await node.run("acquire", "host/DC01.")).stdout.trim();
    expect(await idsOn(fleet, ["dc01"])).toEqual([[id]]);
    expect(await node.run("lock", "dc01", "--type", "host", "--wait", "0")).toMatchObject({ code: 2, stdout: `${id}\n` });
    expect(await node.run("exec", "host/Dc01", "--timeout", "0", "--", "true")).toMatchObject({ code: 75 });
    expect(await node.run("run", "restart")).toMatchObject({ code: 75 });
    expect(await node.run("current", "host/dC01", "--id-only")).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect((await node.run("locks", "host/DC01")).stdout).toContain(id);
    expect((await node.run("release", "host/DC01", id)).code).toBe(0);
    expect((await node.run("history", "host/DC01", "-v")).stdout).toContain(id);
  });

  test("what a process holds is shown, and not unlocked", async () => {
    const fleet = await openFleet(kind);
    const node = nodeOf(fleet, "web-07");
    const go = fleet.signalFile();
    const running = node.start("exec", "host/dc01", "--", "/bin/sh", "-c", `while [ ! -e '${go.path}' ]; do sleep 0.02; done`);
    const [claim] = await fleet.untilQueue("host/dc01", 1);
    expect(JSON.parse((await node.run("test", "dc01", "--json")).stdout)).toEqual({ locked: true, types: ["process"] });
    const refused = await node.run("unlock", claim?.id ?? "");
    expect([refused.code, refused.stdout]).toEqual([77, ""]);
    expect(refused.stderr).toContain("is no lease");
    go.give();
    expect((await running.ended).code).toBe(0);
  });
});

describe("on several stores", () => {
  test("hosts are locked together only where they are together, and an id is found wherever it is", async () => {
    const fleet = await openFleet("sqlite");
    const other = `sqlite://${fleet.directory}/other.db`;
    const node = nodeOf(fleet, "web-07", { locks: { "host/hv01": { coordinator: other }, elsewhere: { coordinator: other } } });
    const refused = await node.run("lock", "dc01");
    expect([refused.code, refused.stdout]).toEqual([78, ""]);
    expect(refused.stderr).toContain("host/dc01 and host/hv01 are to be locked together, and are on different coordinators");
    const id = await locked(node, "hv01");
    expect(await idsOn(fleet, ["hv01"]), "in the general store").toEqual([[]]);
    expect((await node.run("test", "hv01")).code).toBe(0);
    expect((await node.run("unlock", id, "--ensure-lock")).code).toBe(0);
    expect((await node.run("test", "hv01")).code).toBe(1);
  });
});
