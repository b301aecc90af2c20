// What every store is tried with from end to end: the built program with real agents, as a fleet meets it. What a store does under
// faults is the conformance suite's (src/conformance/); this is that nothing above the store depends on which one it is.
import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Claim } from "../../../src/locks/claim.js";
import { listen } from "../../server/listening.js";
import { startServer } from "../../server/serving.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshDirectory } from "../../support/roots.js";
import { until } from "../../support/wait.js";
import { Fleet, isRunning, type Node, type StoreName } from "../nodes.js";
import { leaveStale, serviceOn } from "../services.js";

// A node's session has 4 s. A store that tells its end by looking takes as long again.
const EXPIRY_MS = 20_000;

const QUICK = { command: ["true"] } as const;

/** @param open gives the URL of a root that nobody has used, on the run's server */
export function describeOnStore(kind: StoreName, open: () => string | Promise<string>): void {
  failOnLeaks();

  const openFleet = async (): Promise<Fleet> => new Fleet(kind, await open(), await freshDirectory());

  describe(`on ${kind}, from end to end`, () => {
    test("twenty agents that come together run one after another, in the order in which they joined", async () => {
      const fleet = await openFleet();
      const go = fleet.signalFile();
      const nodes = nodesOf(fleet, 20, () => ({ shell: fleet.waitingShell(go.path) }));
      const agents = nodes.map((node) => node.start("run", "restart"));
      const queue = await fleet.untilQueue("restart", 20);
      go.give();
      for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
      expect(fleet.lines()).toEqual(queue.flatMap(({ owner }) => [`start ${owner.node}`, `end ${owner.node}`]));
      const history = await (await fleet.coordinator()).history("restart", 50);
      expect(history.map(({ owner }) => owner.node)).toEqual(queue.map(({ owner }) => owner.node).reverse());
    });

    test("as many run at once as there are slots, and of racks one at a time", async () => {
      const fleet = await openFleet();
      const [slots, racks] = [fleet.signalFile(), fleet.signalFile()];
      const rackOf = (name: string): string => (Number(name.at(-1)) % 2 === 0 ? "even" : "odd");
      const agents = [
        ...nodesOf(fleet, 5, () => ({ lock: "slots", slots: 2, shell: fleet.waitingShell(slots.path) }), "slot"),
        ...nodesOf(fleet, 6, (name) => ({ lock: "racks", key: rackOf(name), shell: fleet.waitingShell(racks.path) }), "rack"),
      ].map((node) => node.start("run", "restart"));
      const linesOf = (who: string): string[] => fleet.lines().filter((line) => line.includes(` ${who}-`));
      await fleet.untilQueue("slots", 5);
      const [first] = (await fleet.untilQueue("racks", 6)) as readonly [Claim];
      await until(() => linesOf("slot").length === 2 && linesOf("rack").length > 0, "two slots and one rack to be at work");
      expect(linesOf("rack")).toContain(`start ${first.owner.node}`);
      slots.give();
      racks.give();
      for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
      expect(Math.max(...atWork(linesOf("slot")).map((names) => names.length))).toBe(2);
      for (const names of atWork(linesOf("rack"))) expect(new Set(names.map(rackOf)).size, names.join(", ")).toBeLessThan(2);
    });

    test("an agent that is killed waiting leaves the line; one that is killed running keeps its lock until its node comes back", async () => {
      const fleet = await openFleet();
      const go = fleet.signalFile();
      const [holding, waiting, next] = nodesOf(fleet, 3, () => ({ shell: fleet.waitingShell(go.path) })) as [Node, Node, Node];
      const holder = holding.start("run", "restart");
      await fleet.untilLine("start web-00");
      const waiter = waiting.start("run", "restart");
      await fleet.untilQueue("restart", 2);
      const behind = next.start("run", "restart");
      await fleet.untilQueue("restart", 3);
      for (const agent of [waiter, holder]) agent.kill("SIGKILL");
      await Promise.all([waiter.ended, holder.ended]);
      await until(async () => (await stateOf(fleet, "restart")) === "web-00 gone, web-02 alive", {
        what: "the one to have left, and the other to be seen as gone",
        deadlineMs: EXPIRY_MS,
      });
      const [toxic] = (await fleet.queue("restart")) as [Claim, Claim];
      const impatient = fleet.node("web-03", { restart: { ...QUICK, acquire: { timeout: 0 } } });
      expect((await impatient.runAction("restart")).result).toMatchObject({ outcome: "timed-out" });
      expect(fleet.lines()).toEqual(["start web-00"]);

      const back = await fleet.node("web-00", { restart: QUICK }).runAction("restart");
      expect(back.result, back.stderr).toMatchObject({ outcome: "ran", claim: toxic.id });
      expect(back.result.fencingToken).toBeGreaterThan(toxic.fencingToken as number);
      go.give();
      expect((await behind.ended).code).toBe(0);
      expect(await fleet.queue("restart")).toEqual([]);
      expect(await (await fleet.coordinator()).history("restart", 5)).toMatchObject([
        { event: "released", owner: { node: "web-02" } },
        { event: "recovered", claim: toxic.id },
      ]);
    });

    test("serialize_process adopts a stale claim: what has restarted since is left alone, and else the action runs", async () => {
      const fleet = await openFleet();
      const { actions, startService } = serviceOn(fleet);
      const first = await leaveStale(fleet, actions);
      await startService(first.stale);
      const skipping = fleet.node("web-01", actions({ already_restarted: "skip" }));
      expect((await skipping.runAction("restart")).result).toMatchObject({ outcome: "already-restarted", claim: first.stale.id });
      expect(isRunning(first.orphan), "the orphaned command").toBe(false);
      writeFileSync(fleet.log, "");
      const second = await leaveStale(fleet, actions);
      const again = fleet.node("web-01", actions());
      expect((await again.runAction("restart")).result).toMatchObject({ outcome: "ran", claim: second.stale.id });
      expect(fleet.lines()).toEqual(["start web-01", "ran"]);
      expect(await fleet.queue("restart")).toEqual([]);
      expect(again.journal("restart")).toEqual({});
    });

    test("a lease is acquired, looked at, renewed and released by its id, and expires by the store's clock", async () => {
      const fleet = await openFleet();
      const [ann, bob] = [fleet.node("ann", {}), fleet.node("bob", {})];
      // A store is there.
      const store = await fleet.coordinator();
      expect(await ann.run("current", "db")).toMatchObject({ code: 1, stderr: "no lock held\n" });
      const { code, stdout, stderr } = await ann.run("acquire", "db", "--ttl", "1 h", "--reason", "schema 42");
      expect([code, stderr]).toEqual([0, ""]);
      const id = stdout.trim();
      expect(await bob.run("acquire", "db")).toMatchObject({ code: 2, stdout: `${id}\n` });
      expect((await bob.run("current", "db")).stdout).toContain(id);
      expect((await bob.run("is-held", "db", id)).code).toBe(0);
      const waiter = bob.start("acquire", "db", "--wait", "none", "--ttl", "1 h");
      await fleet.untilQueue("db", 2);
      const asked = await store.sync();
      expect(await ann.run("renew", "db", id, "--ttl", "2 h")).toMatchObject({ code: 0 });
      const [renewed] = (await fleet.queue("db")) as readonly [Claim];
      expect(renewed.expiresAt).toBeGreaterThanOrEqual(asked.ms + 7_200_000);
      // Now its time is over before that of whoever has looked at it last.
      expect(await ann.run("renew", "db", id, "--ttl", "1 s")).toMatchObject({ code: 0 });
      const taken = await waiter.ended;
      expect([taken.code, taken.stdout], taken.stderr).toEqual([0, `${(await fleet.queue("db"))[0]?.id}\n`]);
      expect((await ann.run("is-held", "db", id)).code).toBe(1);
      expect((await ann.run("renew", "db", id)).code).toBe(3);
      expect(await bob.run("release", "db", taken.stdout.trim())).toMatchObject({ code: 0 });
      expect(await store.history("db", 5)).toMatchObject([
        { event: "released", by: "ops@bob" },
        { event: "expired", by: null, claim: id },
      ]);
    });

    test("a host is locked with all that it depends on in one claim, and exec hands its command a growing token", async () => {
      const fleet = await openFleet();
      const dependencies = { hv01: ["dc01", "vmm01"], dc01: ["dc02"] };
      const [ann, bob] = ["ann", "bob"].map((name) => fleet.node(name, {}, { settings: { dependencies } })) as [Node, Node];
      const locked = await ann.run("lock", "dc02", "--type", "host");
      const id = locked.stdout.trim();
      const claims = await (await fleet.coordinator()).find(id);
      expect(claims.map(({ lock }) => lock).sort(), locked.stderr).toEqual(["host/dc01", "host/dc02", "host/hv01"]);
      const tokens = new Set(claims.map(({ fencingToken }) => fencingToken));
      expect(tokens.size, "one commit").toBe(1);
      expect((await bob.run("lock", "dc01", "--type", "host", "--wait", "0")).code).toBe(2);
      const waiter = bob.start("lock", "vmm01", "--type", "host", "--wait", "none");
      await fleet.untilQueue("host/hv01", 2);
      expect((await ann.run("unlock", id)).code).toBe(0);
      expect((await waiter.ended).code).toBe(0);
      expect((await bob.run("unlock", waiter.stdout().trim())).code).toBe(0);
      const exec = () => ann.run("exec", "host/hv01", "--", "sh", "-c", 'echo "$HOLDLINE_FENCING_TOKEN"; exit 7');
      const [first, second] = [await exec(), await exec()];
      expect([first.code, second.code], first.stderr).toEqual([7, 7]);
      expect(Number(first.stdout)).toBeGreaterThan([...tokens][0] as number);
      expect(Number(second.stdout)).toBeGreaterThan(Number(first.stdout));
      expect(await (await fleet.coordinator()).list()).toEqual([]);
    });

    test("under a freeze nobody begins, and who waits goes on with the thaw", async () => {
      const fleet = await openFleet();
      const [node, admin] = [fleet.node("web-01", { restart: QUICK }), fleet.node("admin", {})];
      const lease = (await admin.run("acquire", "restart", "--ttl", "1 h")).stdout.trim();
      const waiter = node.start("run", "restart", "--json");
      await fleet.untilQueue("restart", 2);
      const frozen = await admin.run("freeze", "restart", "--reason", "the sale");
      expect((await admin.run("release", "restart", lease)).code).toBe(0);
      await until(() => waiter.stderr().includes("waiting for the thaw"), "the waiter to hear of the freeze");
      expect(await admin.run("acquire", "restart")).toMatchObject({
        code: 75,
        stderr: expect.stringContaining("the sale") as string,
      });
      expect((await admin.run("locks")).stdout).toContain("FROZEN: restart by ops@admin");
      expect((await admin.run("thaw", frozen.stdout.trim())).code).toBe(0);
      expect((await waiter.ended).code, waiter.stderr()).toBe(0);
      const { stdout } = await admin.run("history", "--json");
      const { history } = JSON.parse(stdout) as { readonly history: readonly { readonly event: string }[] };
      expect(history.map(({ event }) => event)).toEqual(["released", "thawed", "released", "frozen"]);
    });

    test("nodes and rollout tell how far an action has come; a failed claim stays until it is cleared", async () => {
      const fleet = await openFleet();
      const node = (name: string, action: object) =>
        fleet.node(name, { deploy: action }, { settings: { group: "web", acquire: { timeout: 0 } } });
      expect((await node("done", QUICK).runAction("deploy")).code).toBe(0);
      const broken = await node("broken", { shell: "echo no such table >&2; exit 3" }).runAction("deploy");
      expect(broken.code).toBe(4);
      expect((await node("late", QUICK).runAction("deploy")).code).toBe(75);
      const admin = fleet.node("admin", {}, { settings: { group: "web" } });
      const { each, ...counts } = JSON.parse((await admin.run("rollout", "deploy", "--json")).stdout) as {
        readonly each: object[];
      };
      expect(counts).toMatchObject({ group: "web", nodes: 3, done: 1, failed: 1, pending: 1 });
      expect(each).toHaveLength(3);
      expect((await admin.run("nodes")).stdout).toMatch(/^broken +web .*failed/m);
      expect((await admin.run("clear", "deploy", "--reason", "rolled back")).code).toBe(0);
      expect((await node("late", QUICK).runAction("deploy")).code).toBe(0);
      const listing = await admin.run("history", "deploy", "--json", "--limit", "3");
      expect(JSON.parse(listing.stdout)).toMatchObject({
        history: [
          { event: "released", owner: { node: "late" } },
          { event: "cleared", claim: broken.result.claim, by: "ops@admin", reason: "rolled back" },
          {
            event: "failed",
            claim: broken.result.claim,
            failure: { exitCode: 3, output: expect.stringContaining("table") as string },
          },
        ],
      });
    });

    test("the server has its page, answers, and tells of what the command line does", async () => {
      const fleet = await openFleet();
      const server = await startServer(fleet);
      const page = await server.ask("GET", "/");
      expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
      const { told } = await listen(server.url);
      const node = fleet.node("web-01", {});
      const id = (await node.run("acquire", "db", "--ttl", "1 h")).stdout.trim();
      const taken = await until(() => told.find(({ data }) => data.lock === "db" && data.holders?.length === 1), "the lease");
      expect(taken.data).toMatchObject({ holders: [{ id }], waiting: [] });
      expect((await server.ask("GET", "/v1/locks")).json).toMatchObject({ locks: [{ lock: "db", holders: [{ id }] }] });
      expect((await server.ask("GET", "/")).text).toContain(id);
      expect((await server.ask("DELETE", `/v1/leases/${id}?reason=over`)).json).toEqual({ outcome: "released" });
      await until(() => told.at(-1)?.data.holders?.length === 0, "its end");
      expect((await server.ask("GET", "/v1/history?lock=db")).json).toMatchObject({ history: [{ claim: id, event: "released" }] });
      server.cli.kill("SIGTERM");
      expect((await server.cli.ended).code).toBe(0);
    });

    test("check --live says that all is well", async () => {
      const fleet = await openFleet();
      const ended = await fleet.node("web-01", { restart: QUICK }).run("check", "--live");
      expect([ended.code, ended.stderr], ended.stdout).toEqual([0, ""]);
    });
  });
}

function nodesOf(fleet: Fleet, count: number, actionOf: (name: string) => object, prefix = "web"): Node[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `${prefix}-${String(index).padStart(2, "0")}`;
    return fleet.node(name, { restart: actionOf(name) });
  });
}

/** Who stands in line, and whether their agents live. */
async function stateOf(fleet: Fleet, lock: string): Promise<string> {
  const claims = await fleet.queue(lock);
  return claims.map(({ owner, alive }) => `${owner.node} ${alive ? "alive" : "gone"}`).join(", ");
}

/** Who was at work after each line. */
function atWork(lines: readonly string[]): string[][] {
  let names: string[] = [];
  return lines.map((line) => {
    const [what, name = ""] = line.split(" ");
    names = what === "start" ? [...names, name] : names.filter((one) => one !== name);
    return names;
  });
}
