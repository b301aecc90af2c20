// Leases as people and scripts take them, with the built program: who gets one, who shares it, how long it lasts whatever the
// node's clock says, and each command's output and exit code.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, inject, test } from "vitest";
import type { Claim } from "../../src/locks/claim.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { failOnLeaks } from "../support/leaks.js";
import { freshRoot } from "../support/roots.js";
import { until, within } from "../support/wait.js";
import { type Cli, type Fleet, type Node, openFleet, STORES } from "./fleet.js";

failOnLeaks();

const TWO_HOURS_MS = 7_200_000;
const SHIFTED_CLOCK = pathToFileURL(resolve(import.meta.dirname, "../fixtures/shifted-clock.mjs")).href;

/** The environment of a node whose wall clock is off by so much. */
function clockOff(ms: number): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import=${SHIFTED_CLOCK}`, CLOCK_SHIFT_MS: String(ms) };
}

async function acquire(node: Node, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await node.run("acquire", ...args);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
  return stdout.trim();
}

/** Waits until the store's clock shows a time. */
function untilStore(coordinator: Coordinator, time: number): Promise<unknown> {
  return until(async () => (await coordinator.sync()).ms >= time, `the store's clock to show ${new Date(time).toISOString()}`);
}

async function only(fleet: Fleet, lock: string): Promise<Claim> {
  const [claim, ...others] = await fleet.queue(lock);
  expect(others).toEqual([]);
  return claim as Claim;
}

describe.each(STORES)("on %s", (kind) => {
  test("a lease is one's own until it is released, whoever else comes", async () => {
    const fleet = await openFleet(kind);
    const [ann, bob] = [fleet.node("web-01", {}), fleet.node("web-02", {})];
    // A store is there.
    await fleet.coordinator();
    expect(await ann.run("current", "db")).toMatchObject({ code: 1, stdout: "", stderr: "no lock held\n" });
    const id = await acquire(ann, "db", "-t", "1 day", "--reason", "schema 42");
    const { since, expiresAt } = await only(fleet, "db");
    expect(Math.abs((expiresAt as number) - since - 86_400_000)).toBeLessThan(5_000);

    const held = await bob.run("acquire", "db");
    expect([held.code, held.stdout]).toEqual([2, `${id}\n`]);
    expect(held.stderr).toMatch(/^holdline: Lock held\n {2}web-01: lease by ops@web-01, since .*: schema 42\n$/);
    expect(await bob.run("current", "db", "-f", "oneline")).toMatchObject({
      code: 0,
      stdout: `ops@web-01\t${new Date(since).toISOString()}\t${id}\n`,
      stderr: "",
    });
    expect(await bob.run("current", "db", "--id-only")).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect(await bob.run("is-held", "db", id)).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect(await bob.run("exec", "db", "--timeout", "0", "--", "true")).toMatchObject({ code: 75 });

    for (const released of [true, false]) {
      expect(await ann.run("release", "db", id, "--json")).toMatchObject({ code: 0, stdout: `{"released":${released}}\n` });
    }
    expect(await bob.run("is-held", "db", id)).toMatchObject({ code: 1, stdout: "", stderr: "" });
    expect(await ann.run("renew", "db", id)).toMatchObject({ code: 3, stdout: "" });
    await acquire(bob, "db");
    expect(await (await fleet.coordinator()).history("db", 10)).toMatchObject([
      { claim: id, event: "released", by: "ops@web-01", description: "schema 42" },
    ]);
  });

  test("of many who ask at once one gets it", async () => {
    const fleet = await openFleet(kind);
    const names = ["web-01", "web-02", "web-03", "web-04", "web-05", "web-06"];
    const ended = await Promise.all(names.map((name) => fleet.node(name, {}).run("acquire", "db")));
    expect(ended.map(({ code }) => code).sort()).toEqual([0, 2, 2, 2, 2, 2]);
    const { id } = await only(fleet, "db");
    expect(ended.find(({ code }) => code === 0)?.stdout).toBe(`${id}\n`);
  });

  test.each([
    ["two hours behind", -TWO_HOURS_MS],
    ["two hours ahead", TWO_HOURS_MS],
  ])("a lease lasts by the store's clock, on a node whose clock is %s", async (_what, shiftMs) => {
    const fleet = await openFleet(kind);
    const coordinator = await fleet.coordinator();
    const node = fleet.node("web-01", {}, { env: clockOff(shiftMs) });
    const id = await acquire(node, "db", "-t", "4 seconds");
    const first = await only(fleet, "db");
    const start = (first.expiresAt as number) - 4_000;
    expect(Math.abs(start - first.since), "counted from the acquire").toBeLessThan(1_000);

    await untilStore(coordinator, start + 2_000);
    const asked = (await coordinator.sync()).ms;
    expect(await node.run("renew", "db", id, "-t", "4 s")).toMatchObject({ code: 0, stdout: "" });
    const expiresAt = (await only(fleet, "db")).expiresAt as number;
    expect(expiresAt, "counted from the renewal").toBeGreaterThanOrEqual(asked + 4_000);
    expect(expiresAt).toBeLessThanOrEqual((await coordinator.sync()).ms + 4_000);

    await untilStore(coordinator, start + 4_000);
    expect(await node.run("is-held", "db", id)).toMatchObject({ code: 0 });
    await untilStore(coordinator, expiresAt + 500);
    expect(await node.run("is-held", "db", id)).toMatchObject({ code: 1 });
    expect(await node.run("renew", "db", id, "-t", "4 s")).toMatchObject({ code: 3 });
    expect(await fleet.queue("db")).toEqual([]);
    expect(await coordinator.history("db", 10)).toMatchObject([{ claim: id, event: "expired", by: null }]);
  });

  test("the clock of such a node is really off", async () => {
    const fleet = await openFleet(kind);
    await acquire(fleet.node("web-01", {}), "db");
    const node = fleet.node("web-02", {}, { env: clockOff(TWO_HOURS_MS) });
    const { stderr } = await node.run("acquire", "db", "--wait", "0.2 s");
    const { time } = JSON.parse(stderr.split("\n")[0] as string) as { readonly time: string };
    expect(Date.parse(time) - Date.now()).toBeGreaterThan(TWO_HOURS_MS - 60_000);
  });

  test("an expired lease is removed by whoever meets it", async () => {
    const fleet = await openFleet(kind);
    const coordinator = await fleet.coordinator();
    const ann = fleet.node("web-01", {});
    const bob = fleet.node("web-02", { act: { lock: "run", command: ["true"] } });
    const meetings: Readonly<Record<string, (id: string) => readonly string[]>> = {
      current: () => ["current", "current"],
      "is-held": (id) => ["is-held", "is-held", id],
      renew: (id) => ["renew", "renew", id],
      release: (id) => ["release", "release", id],
      data: (id) => ["data", "data", id],
      acquire: () => ["acquire", "acquire"],
      locks: () => ["locks", "locks"],
      run: () => ["run", "act"],
      exec: () => ["exec", "exec", "--timeout", "0", "--", "true"],
    };
    const ids = new Map<string, string>();
    for (const lock of Object.keys(meetings)) ids.set(lock, await acquire(ann, lock, "-t", "0.1 s"));
    const last = (await only(fleet, [...ids.keys()].at(-1) as string)).expiresAt as number;
    await untilStore(coordinator, last);
    const codes: Record<string, number | null> = {};
    for (const [lock, argsFor] of Object.entries(meetings)) {
      const id = ids.get(lock) as string;
      codes[lock] = (await bob.run(...argsFor(id))).code;
      expect(
        (await fleet.queue(lock)).map((claim) => claim.id),
        lock,
      ).not.toContain(id);
      const [expired] = (await coordinator.history(lock, 10)).filter(({ claim }) => claim === id);
      expect(expired, lock).toMatchObject({ event: "expired", by: null });
    }
    expect(codes).toEqual({ current: 1, "is-held": 1, renew: 3, release: 0, data: 1, acquire: 0, locks: 1, run: 0, exec: 0 });
  });

  test("whoever waits behind a lease gets the lock when its time is over", async () => {
    const fleet = await openFleet(kind);
    await acquire(fleet.node("web-01", {}), "db", "-t", "6 s");
    const action = { lock: "db", shell: `echo ran >> '${fleet.log}'` };
    const waiters: Cli[] = [];
    for (const args of [
      ["run", "act"],
      ["exec", "db", "--", "true"],
      ["acquire", "db", "--wait", "none"],
    ]) {
      waiters.push(fleet.node(`web-0${waiters.length + 2}`, { act: action }).start(...args));
      await fleet.untilQueue("db", waiters.length + 1);
    }
    for (const waiter of waiters) expect((await within(waiter.ended, "a waiter")).code, waiter.stderr()).toBe(0);
    expect(fleet.lines()).toEqual(["ran"]);
    expect(await only(fleet, "db")).toMatchObject({ owner: { node: "web-04" } });
    expect(await (await fleet.coordinator()).history("db", 10)).toMatchObject([{ event: "released" }, { event: "expired" }]);
  });

  test("a wait ends with the lock, or with its time, or with an interrupt, and leaves nothing in line", async () => {
    const fleet = await openFleet(kind);
    const [ann, bob] = [fleet.node("web-01", {}), fleet.node("web-02", {})];
    const id = await acquire(ann, "db");
    const vain = await bob.run("acquire", "db", "--wait", "0.3 s");
    expect([vain.code, vain.stdout]).toEqual([2, `${id}\n`]);
    expect(vain.stderr).toContain("holdline: Lock held (waited 0.3 s for it)\n");
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const waiter = bob.start("acquire", "db", "--wait", "none");
      await fleet.untilQueue("db", 2);
      await until(() => waiter.stderr().includes("1st in line for db"), "the waiter to say where it stands");
      waiter.kill(signal);
      expect(await within(waiter.ended, "the waiter to end")).toMatchObject({ code: signal === "SIGINT" ? 130 : 143, stdout: "" });
      expect(await fleet.queue("db")).toMatchObject([{ id }]);
    }
    const waiter = bob.start("acquire", "db", "--wait", "50 s");
    await fleet.untilQueue("db", 2);
    expect((await ann.run("release", "db", id)).code).toBe(0);
    const { code, stdout } = await within(waiter.ended, "the waiter to have it");
    expect([code, stdout]).toEqual([0, `${(await only(fleet, "db")).id}\n`]);
  });

  test("one who is killed while waiting for a lease is not waited for", async () => {
    const fleet = await openFleet(kind);
    const ann = fleet.node("web-01", {});
    const id = await acquire(ann, "db");
    const waiter = fleet.node("web-02", {}).start("acquire", "db", "--wait", "none");
    await fleet.untilQueue("db", 2);
    waiter.kill("SIGKILL");
    await waiter.ended;
    await ann.run("release", "db", id);
    expect((await within(ann.start("acquire", "db", "--wait", "none").ended, "the lock to be free")).code).toBe(0);
  });

  test("--key and --slots share a lock as the rule says", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    for (const code of [0, 0, 2]) expect((await node.run("acquire", "pool", "--slots", "2")).code).toBe(code);
    for (const code of [0, 0]) expect((await node.run("acquire", "rack", "--key", "rack-12")).code).toBe(code);
    const held = await node.run("acquire", "rack", "--key", "rack-13");
    expect([held.code, held.stdout.trimEnd().split("\n")]).toEqual([2, (await fleet.queue("rack")).map(({ id }) => id)]);
    expect((await node.run("current", "rack", "-f", "json")).stdout.trimEnd().split("\n")).toHaveLength(2);
  });

  test("twenty with one key overlap; one with another waits for all of them, and holds up those who come later", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const go = fleet.signalFile();
    const job = (word: string, wait: string) =>
      `echo 'start ${word}' >> '${fleet.log}'; ${wait}; echo 'end ${word}' >> '${fleet.log}'`;
    const waiting = `while [ ! -e '${go.path}' ]; do sleep 0.1; done`;
    const smokes: Cli[] = [];
    // A few at a time: the machine has other things to do as well.
    for (let count = 1; count <= 10; count += 1) {
      smokes.push(node.start("exec", "site", "--key", "smoke", "--", "sh", "-c", job(`smoke-${count}`, waiting)));
      const leased = await node.run("acquire", "site", "--key", "smoke");
      expect(leased.code).toBe(0);
    }
    await until(() => fleet.lines().length === 10, "ten jobs to run at once");
    const before = await fleet.untilQueue("site", 20);

    const deploy = node.start("exec", "site", "--key", "deploy", "--", "sh", "-c", job("deploy", "true"));
    await fleet.untilQueue("site", 21);
    const late = node.start("exec", "site", "--key", "smoke", "--", "sh", "-c", job("late", "true"));
    await fleet.untilQueue("site", 22);
    expect(await node.run("acquire", "site", "--key", "smoke")).toMatchObject({ code: 2 });

    go.give();
    for (const smoke of smokes) expect((await within(smoke.ended, "a job")).code).toBe(0);
    await fleet.untilQueue("site", 12);
    expect(fleet.lines(), "ten leases still keep the others out").not.toContain("start deploy");
    const leases = before.filter(({ lease }) => lease !== null);
    expect(leases).toHaveLength(10);
    for (const { id } of leases) {
      expect(fleet.lines()).not.toContain("start deploy");
      expect((await node.run("release", "site", id)).code).toBe(0);
    }
    for (const agent of [deploy, late]) expect((await within(agent.ended, "the line to move on")).code).toBe(0);
    expect(fleet.lines().slice(20)).toEqual(["start deploy", "end deploy", "start late", "end late"]);
    expect(await fleet.queue("site")).toEqual([]);
  });

  test("with --json each command prints one document and nothing else", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const ask = async (...args: readonly string[]) => {
      const { code, stdout } = await node.run(...args, "--json");
      expect(stdout.endsWith("\n") && !stdout.trimEnd().includes("\n"), args.join(" ")).toBe(true);
      return { code, document: JSON.parse(stdout) as { readonly claim: { readonly id: string } } };
    };
    const acquired = await ask("acquire", "db", "--reason", "schema 42", "--data", "{ a: 1 }");
    const { id } = acquired.document.claim;
    const listed = JSON.parse((await node.run("locks", "db", "--json")).stdout) as {
      readonly locks: readonly [{ readonly holders: readonly [object] }];
    };
    const [claim] = listed.locks[0].holders;
    expect(acquired).toEqual({ code: 0, document: { claim: { ...claim, lock: "db" } } });
    expect(await ask("current", "db")).toEqual({ code: 0, document: { holders: [claim] } });
    expect(await ask("is-held", "db", id)).toEqual({ code: 0, document: { held: true } });
    expect(await ask("acquire", "db")).toMatchObject({ code: 2, document: { error: { code: "held" }, holders: [claim] } });
    const renewed = await ask("renew", "db", id, "-t", "1 day");
    const expiresAt = new Date((await only(fleet, "db")).expiresAt as number).toISOString();
    expect(renewed).toEqual({ code: 0, document: { claim: { ...claim, expiresAt, lock: "db" } } });
    expect(await ask("data", "db", id)).toEqual({ code: 0, document: { data: { a: 1 } } });
    expect(await ask("release", "db", id)).toEqual({ code: 0, document: { released: true } });
    expect(await ask("renew", "db", id)).toMatchObject({ code: 3, document: { error: { code: "expired" } } });
    expect(await ask("data", "db", id)).toMatchObject({ code: 1, document: { error: { code: "nothing-there" } } });
    expect(await ask("is-held", "db", id)).toEqual({ code: 1, document: { held: false } });
    expect(await ask("current", "db")).toEqual({ code: 1, document: { holders: [] } });
    expect(await ask("acquire", "db", "-t", "0 s")).toMatchObject({ code: 64, document: { error: { code: "usage" } } });
  });

  test("the claim of a process is neither released nor renewed", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const agent = fleet.node("web-01", { act: { shell: fleet.waitingShell(go.path) } }).start("run", "act");
    await fleet.untilLine("start web-01");
    const { id } = await only(fleet, "act");
    const bob = fleet.node("web-02", {});
    for (const command of ["release", "renew"]) {
      const { code, stdout, stderr } = await bob.run(command, "act", id);
      expect([code, stdout]).toEqual([77, ""]);
      expect(stderr).toContain(`holdline: the claim ${id} on act is no lease: it belongs to the action act on web-01\n`);
    }
    go.give();
    expect((await agent.ended).code).toBe(0);
  });
});

describe("what the configuration says of a lock", () => {
  test("gives it its time, its principal and its store, and flags and the environment win", async () => {
    const fleet = await openFleet("sqlite");
    const { host, port } = inject("zookeeper");
    const other = await openFleet("zookeeper");
    const third = `zookeeper://${host}:${port}${freshRoot()}`;
    const locks = {
      default: { ttl: "1 hour", principal: "people@example.com" },
      db: { ttl: "1 day", principal: "dba@example.com", coordinator: other.url },
      web: { coordinator: other.url },
    };
    const node = (env: Readonly<Record<string, string>> = {}) => fleet.node("web-01", {}, { settings: { locks }, env });
    const claimOf = async (where: Fleet, lock: string) => {
      const { owner, since, expiresAt } = await only(where, lock);
      return [owner.principal, Math.round(((expiresAt as number) - since) / 60_000)];
    };
    await acquire(node(), "db");
    await acquire(node(), "web", "-t", "2 min");
    await acquire(node(), "app");
    expect(await claimOf(other, "db")).toEqual(["dba@example.com", 1_440]);
    expect(await claimOf(other, "web")).toEqual(["people@example.com", 2]);
    expect(await claimOf(fleet, "app")).toEqual(["people@example.com", 60]);
    expect([await fleet.queue("db"), await other.queue("app")]).toEqual([[], []]);
    expect((await node().run("acquire", "db")).code, "both are asked of the same store").toBe(2);

    const me = node({ HOLDLINE_PRINCIPAL: "me@example.com", HOLDLINE_COORDINATOR: third });
    for (const lock of ["db", "app"]) {
      await acquire(me, lock);
      expect((await me.run("current", lock, "-f", "oneline")).stdout).toMatch(/^me@example\.com\t/);
    }
    expect((await node().run("--coordinator", third, "acquire", "web")).code).toBe(0);
    expect((await node().run("acquire", "db", "--coordinator", fleet.url)).code).toBe(0);
    expect(await claimOf(fleet, "db")).toEqual(["dba@example.com", 1_440]);
  });
});
