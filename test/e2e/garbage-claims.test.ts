// Claims that somebody has overwritten by hand: Holdline never crashes on one and never takes it as free. Those behind it wait,
// and an admin can see it and end it.
import { randomBytes } from "node:crypto";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import type { Claim } from "../../src/locks/claim.js";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient } from "../support/plain-client.js";
import { type Ended, type Node, openFleet, type Result, type StoreKind, STORES } from "./fleet.js";
import { type Garbage, overwrite, overwriteHistory, STRANGE, UNREADABLE } from "./garbage.js";

failOnLeaks();

// What moves a terminal's cursor, or rings its bell.
const CONTROL = /(?!\n)\p{Cc}/u;

describe.each(STORES)("in held claims on %s", (kind) => {
  test("what is no record keeps its lock held until an admin ends it", async () => {
    const { fleet, node, claims } = await withFailedClaims(kind, UNREADABLE);
    const listed = await node("web-02").run("locks", "--json");
    expect(listed.code, listed.stderr).toBe(0);
    const { locks } = JSON.parse(listed.stdout) as { readonly locks: readonly object[] };
    expect(locks).toHaveLength(claims.length);
    claims.forEach(({ lock, id }, index) => {
      const holders = [{ id, state: "held", durable: true, slots: 1, owner: { action: null } }];
      expect(locks[index], whatIn(lock, UNREADABLE)).toMatchObject({ lock, holders, waiting: [] });
    });
    // Neither another node nor the one whose claim it was.
    for (const name of ["web-02", "web-01"]) {
      const { code, stdout, stderr } = await node(name).run("run", "--all", "--json");
      expect(code, stderr).toBe(75);
      const { results } = JSON.parse(stdout) as { readonly results: readonly Result[] };
      expect(results.map(({ outcome }) => outcome)).toEqual(claims.map(() => "timed-out"));
    }
    for (const args of [["locks"], ["history"]]) {
      const { code, stderr } = await node("web-02").run(...args);
      expect(code, stderr).toBe(0);
    }
    expect(fleet.lines(), "nothing has run").toEqual([]);
    await clears(node("web-02"), claims, UNREADABLE);
  });

  test("what reads as a record is shown, keeps its lock, is ended, and is told of in the history", async () => {
    const { fleet, node, claims } = await withFailedClaims(kind, STRANGE);
    for (const args of [["locks"], ["locks", "--json"]]) {
      const { code, stdout, stderr } = await node("web-02").run(...args);
      expect(code, stderr).toBe(0);
      for (const { lock } of claims) expect(stdout).toContain(lock);
      expect(stdout).not.toMatch(CONTROL);
    }
    const { code, stderr } = await node("web-02").run("run", "--all");
    expect(code, stderr).toBe(75);
    expect(fleet.lines(), "nothing has run").toEqual([]);
    await clears(node("web-02"), claims, STRANGE);
  });

  // On a store that others share it names no machine, and so is an admin's.
  test.runIf(kind === "sqlite")("what reads as a record is taken up by its node, since it says that it is its own", async () => {
    const { fleet, node, claims } = await withFailedClaims(kind, STRANGE);
    const { code, stdout, stderr } = await node("web-01").run("run", "--all", "--json");
    expect(code, stderr).toBe(0);
    const { results } = JSON.parse(stdout) as { readonly results: readonly Result[] };
    expect(results.map(({ outcome, claim }) => [outcome, claim])).toEqual(claims.map(({ id }) => ["ran", id]));
    expect(fleet.lines()).toHaveLength(claims.length);
    expect(await (await fleet.coordinator()).list()).toEqual([]);
  });
});

describe.each(STORES)("in a claim that is in use on %s", (kind) => {
  test("one that waits: it has its turn all the same, and those behind it theirs", async () => {
    const { fleet, node } = await inUse(kind);
    const [first, second] = [fleet.signalFile(), fleet.signalFile()];
    const holder = node("web-01", { shell: fleet.waitingShell(first.path) }).start("run", "restart");
    await fleet.untilLine("start web-01");
    const waiter = node("web-02", { shell: fleet.waitingShell(second.path) }).start("run", "restart");
    const [, waiting] = await fleet.untilQueue("restart", 2);
    const last = node("web-03", { shell: fleet.waitingShell(second.path) }).start("run", "restart");
    await fleet.untilQueue("restart", 3);
    await overwrite(fleet, waiting as Claim, "garbage");
    first.give();
    // So that nobody's end lets another pass before both have run.
    second.give();
    for (const agent of [holder, waiter, last]) expect((await agent.ended).code, agent.stderr()).toBe(0);
    expect(
      fleet
        .lines()
        .filter((line) => line.startsWith("start"))
        .sort(),
    ).toEqual(["start web-01", "start web-02", "start web-03"]);
    expect(await fleet.queue("restart")).toEqual([]);
  });

  test.each([
    ["succeeds", "true", 0, "ran"],
    ["fails", "exit 3", 4, "failed"],
  ])(
    "one under which an action runs that %s: it is told, and leaves the claim as it is",
    async (_what, ending, exitCode, outcome) => {
      const { fleet, node } = await inUse(kind);
      const go = fleet.signalFile();
      const holder = node("web-01", { shell: `${fleet.waitingShell(go.path)}; ${ending}` }).start("run", "restart", "--json");
      await fleet.untilLine("start web-01");
      const [held] = await fleet.untilQueue("restart", 1);
      await overwrite(fleet, held as Claim, "garbage");
      go.give();
      const ended = await holder.ended;
      expect(ended.code, ended.stderr).toBe(exitCode);
      expect(resultOf(ended)).toMatchObject({
        outcome,
        message: expect.stringMatching(/somebody has written something else into the claim/) as unknown,
      });
      const other = await node("web-02").runAction("restart");
      expect([other.code, fleet.lines()], "never taken as free").toEqual([75, ["start web-01", "end web-01"]]);
      await clears(node("web-02"), [held as Claim], []);
    },
  );

  test("one that waits, whose process then gives up: nothing is left of it", async () => {
    const { fleet, node } = await inUse(kind);
    const go = fleet.signalFile();
    const holder = node("web-01", { shell: fleet.waitingShell(go.path) }).start("run", "restart");
    await fleet.untilLine("start web-01");
    const waiter = node("web-02", { command: ["true"] }).start("run", "restart");
    const [, waiting] = await fleet.untilQueue("restart", 2);
    await overwrite(fleet, waiting as Claim, "garbage");
    const withdrawn = await node("web-03").run(
      "clear",
      "restart",
      "--claim",
      (waiting as Claim).id,
      "--force",
      "--reason",
      "garbage",
    );
    expect(withdrawn.code, withdrawn.stderr).toBe(0);
    expect((await waiter.ended).code, waiter.stderr()).toBe(75);
    expect((await fleet.queue("restart")).map(({ owner }) => owner.node)).toEqual(["web-01"]);
    go.give();
    expect((await holder.ended).code).toBe(0);
  });
});

describe("beside the claims on zookeeper", () => {
  test("what looks like a claim keeps the lock, and what does not is nothing", async () => {
    const { fleet, node, zookeeper } = await inUse("zookeeper");
    const place = `${new URL(fleet.url).pathname}/locks/restart`;
    for (const name of ["notes", "_c_-lock-", "lock-12", "_h_0000000000"]) await zookeeper.create(`${place}/${name}`, "garbage");
    expect((await node("web-01", { command: ["true"] }).runAction("restart")).code).toBe(0);
    await zookeeper.create(`${place}/lock-0000000000`, randomBytes(16).toString("latin1"));
    expect((await node("web-01").runAction("restart")).code).toBe(75);
    expect((await node("web-01").run("clear", "restart", "--reason", "nobody's")).code).toBe(0);
    expect((await node("web-01", { command: ["true"] }).runAction("restart")).code).toBe(0);
    expect(await zookeeper.children(place)).toEqual(["_c_-lock-", "_h_0000000000", "lock-12", "notes"]);
  });
});

describe.each(STORES)("in records of the history on %s", (kind) => {
  test("whatever stands there, the others are told", async () => {
    const all = [...UNREADABLE, ...STRANGE];
    const { fleet, node } = await inUse(kind);
    const writer = fleet.node("web-01", Object.fromEntries(all.map((_, index) => [lockOf(index), { command: ["true"] }])));
    for (let runs = 0; runs < 2; runs += 1) expect((await writer.run("run", "--all")).code).toBe(0);
    for (const [index, [, bytes]] of all.entries()) await overwriteHistory(fleet, lockOf(index), bytes);
    for (const args of [["history", "--json"], ["history"]]) {
      const { code, stdout, stderr } = await node("web-02").run(...args, "--limit", "1000");
      expect(code, stderr).toBe(0);
      for (const index of all.keys()) expect(stdout).toContain(lockOf(index));
      expect(stdout).not.toMatch(CONTROL);
    }
    expect((await writer.run("run", "--all")).code).toBe(0);
  });
});

/** Each piece of garbage has its own lock. Sorted as `locks` lists them. */
function lockOf(index: number): string {
  return `restart-${String(index).padStart(2, "0")}`;
}

function whatIn(lock: string, garbage: Garbage): string {
  return garbage[Number(lock.slice(-2))]?.[0] ?? lock;
}

async function inUse(kind: StoreKind) {
  const fleet = await openFleet(kind);
  const zookeeper = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => zookeeper.close());
  const unwilling = { shell: `echo ran >> '${fleet.log}'`, acquire: { timeout: 0 } };
  const node = (name: string, action: object = unwilling): Node => fleet.node(name, { restart: action });
  return { fleet, zookeeper, node };
}

/** For each piece of garbage a lock that web-01 has kept because its action has failed; actions that run from now on say so. */
async function withFailedClaims(kind: StoreKind, garbage: Garbage) {
  const fleet = await openFleet(kind);
  const actionsThat = (action: object) => Object.fromEntries(garbage.map((_, index) => [lockOf(index), action]));
  expect((await fleet.node("web-01", actionsThat({ command: ["false"] })).run("run", "--all")).code).toBe(4);
  const claims: Claim[] = [];
  for (const [index, [, bytes]] of garbage.entries()) {
    const [claim] = (await fleet.queue(lockOf(index))) as [Claim];
    claims.push(claim);
    // Whose claim it is stays legible where anything is.
    const own = typeof bytes === "string" ? bytes.replace('"action":"restart"', `"action":"${claim.lock}"`) : bytes;
    await overwrite(fleet, claim, own);
  }
  const actions = actionsThat({ shell: `echo ran >> '${fleet.log}'`, acquire: { timeout: 0 } });
  return { fleet, claims, node: (name: string): Node => fleet.node(name, actions) };
}

/** An admin ends the claims, which are in the history then, and the locks are free. */
async function clears(node: Node, claims: readonly Claim[], garbage: Garbage): Promise<void> {
  for (const { lock } of claims) {
    const cleared = await node.run("clear", lock, "--reason", "it was garbage");
    expect(cleared.code, `${whatIn(lock, garbage)}: ${cleared.stderr}`).toBe(0);
  }
  const { code, stdout, stderr } = await node.run("history", "--json", "--limit", "1000");
  expect(code, stderr).toBe(0);
  const { history } = JSON.parse(stdout) as { readonly history: readonly { readonly claim: string; readonly event: string }[] };
  const cleared = history.filter(({ event }) => event === "cleared").map(({ claim }) => claim);
  expect(cleared.sort()).toEqual(claims.map(({ id }) => id).sort());
  const rerun = await node.run("run", "--all");
  expect(rerun.code, rerun.stderr).toBe(0);
}

function resultOf({ stdout }: Ended): Result {
  return (JSON.parse(stdout) as { readonly results: readonly [Result] }).results[0];
}
