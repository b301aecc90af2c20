// How far an action has come in a group: each node in one state, the reasons, and when it will be over.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Freeze } from "../../src/locks/freezes.js";
import type { NodeAction, NodeDocument } from "../../src/fleet/node.js";
import { locksOfAction, ROLLOUT_STATES, type RolloutClaim, type RolloutFacts, rolloutOf } from "../../src/fleet/rollout.js";

const NOW = Date.UTC(2026, 10, 28, 12);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const ENTRY: NodeAction = {
  ...{ lock: "restart/nginx", outcome: "ran", at: NOW - MINUTE_MS, ranMs: 1_000, message: "" },
  ...{ wishedAt: NOW - 2 * MINUTE_MS, pendingSince: null },
};

function node(name: string, changes: Partial<NodeAction> | null, about: Partial<NodeDocument> = {}): NodeDocument {
  const actions: NodeDocument["actions"] = changes === null ? {} : { restart: { ...ENTRY, ...changes } };
  return { node: name, group: "web", machine: null, seenAt: NOW - MINUTE_MS, version: "0.2.0", actions, ...about };
}

function claim(name: string, condition: RolloutClaim["condition"], changes: Partial<RolloutClaim> = {}): RolloutClaim {
  const owner = { node: name, group: "web", principal: "p", action: "restart", process: null };
  return { lock: "restart/nginx", owner, since: NOW - MINUTE_MS, failure: null, condition, ...changes };
}

function seen(facts: Partial<RolloutFacts>, since: number | null = null) {
  const all: RolloutFacts = {
    nodes: [],
    claims: [],
    freezes: [],
    locks: ["restart/nginx"],
    now: { ms: NOW, errorMs: 0 },
    ...facts,
  };
  return rolloutOf({ action: "restart", group: "web", since }, all);
}

function statesOf(facts: Partial<RolloutFacts>, since: number | null = null): Record<string, string> {
  return Object.fromEntries(
    seen(facts, since).each.map(({ node: name, state, message }) => [name, `${state}${message && ": "}${message}`]),
  );
}

const FREEZE: Freeze = {
  ...{ id: "f", locks: ["restart/*"], node: null, group: null, reason: "the sale", by: "ann" },
  ...{ since: NOW - HOUR_MS, until: null },
};

describe("each node is in one state", () => {
  test("a claim says more than what a document remembers", () => {
    const failure = { exitCode: 1, signal: null, message: "exit code 1", output: "", at: NOW - 5 };
    const until = NOW + 5 * MINUTE_MS;
    const stage = { name: "soaking", since: NOW - 10, until, drained: false } as const;
    const names = ["a", "b", "c", "d", "e"];
    const claims = [
      claim("a", "running"),
      claim("b", "waiting"),
      claim("c", "failed", { failure }),
      claim("d", "stale"),
      claim("e", "soaking", { stage }),
    ];
    expect(statesOf({ nodes: names.map((name) => node(name, {})), claims })).toEqual({
      a: "running",
      b: "waiting",
      c: "failed: exit code 1",
      d: "failed: stale: its agent is gone, and it keeps the lock",
      e: "running: soaking until 2026-11-28T12:05:00.000Z",
    });
    expect(seen({ claims }).each.find(({ node: name }) => name === "e")?.at).toBe(NOW - 10);
  });

  test("of two claims of a node, the one that failed counts first, then the one that runs", () => {
    const claims = [
      claim("a", "waiting"),
      claim("a", "failed"),
      claim("a", "running"),
      claim("b", "waiting"),
      claim("b", "running"),
    ];
    expect(statesOf({ claims })).toEqual({ a: "failed", b: "running" });
  });

  test("other actions, other groups and claims that name no group do not count", () => {
    const owner = { ...claim("x", "running").owner };
    const claims = [
      claim("x", "running", { owner: { ...owner, action: "other" } }),
      claim("y", "running", { owner: { ...owner, node: "y", group: "db" } }),
    ];
    expect(seen({ claims, nodes: [node("z", {}, { group: "db" })] }).each).toEqual([]);
    const unnamed = { node: owner.node, principal: "p", action: "restart", process: null };
    const bare = claim("x", "running", { owner: unnamed });
    expect(rolloutOf({ action: "restart", group: "default", since: null }, { ...NOTHING, claims: [bare] }).each).toHaveLength(1);
  });

  test("without a claim the document says it", () => {
    const pendingSince = NOW - HOUR_MS;
    const nodes = [
      node("done", {}),
      node("needless", { outcome: "not-needed", ranMs: null, message: "nothing has changed" }),
      node("failed", { outcome: "failed", message: "exit code 1" }),
      node("pending", { outcome: "outside-window", message: "opens on Saturday", pendingSince }),
      node("never", null),
    ];
    expect(statesOf({ nodes })).toEqual({
      done: "done",
      needless: "done: not needed: nothing has changed",
      failed: "failed: exit code 1",
      pending: "pending: opens on Saturday",
      never: "notYet",
    });
    expect(seen({ nodes }).each.find(({ node: name }) => name === "pending")?.at).toBe(pendingSince);
  });

  test("what was before the rollout is not yet done, and a node that was not seen since says so", () => {
    const before = { wishedAt: NOW - 10 * HOUR_MS, at: NOW - 9 * HOUR_MS };
    const nodes = [
      node("now", {}),
      node("before", before),
      node("gone", before, { seenAt: NOW - 8 * HOUR_MS }),
      node("failed-before", { ...before, outcome: "failed", message: "exit code 1" }),
    ];
    expect(statesOf({ nodes })).toEqual({
      now: "done",
      before: "notYet",
      gone: "notYet: last seen 2026-11-28T04:00:00.000Z",
      "failed-before": "notYet",
    });
    expect(statesOf({ nodes }, NOW - 11 * HOUR_MS)).toMatchObject({ before: "done", "failed-before": "failed: exit code 1" });
  });

  test("an old wish counts when its work began after the rollout did", () => {
    const wishedAt = NOW - 10 * HOUR_MS;
    const since = NOW - 2 * MINUTE_MS;
    const nodes = [node("late", { wishedAt, ranMs: 1_000 }), node("over", { wishedAt, ranMs: 3 * MINUTE_MS })];
    expect(statesOf({ nodes }, since)).toEqual({ late: "done", over: "notYet" });
  });

  test("who would be next and is frozen says by whom and why", () => {
    const nodes = [node("a", {}), node("b", { outcome: "blocked", pendingSince: NOW }), node("c", null)];
    const claims = [claim("d", "waiting"), claim("e", "running")];
    expect(statesOf({ nodes, claims, freezes: [FREEZE] })).toEqual({
      a: "done",
      b: "pending: frozen by ann: the sale",
      c: "notYet: frozen by ann: the sale",
      d: "waiting: frozen by ann: the sale",
      e: "running",
    });
    expect(
      statesOf({
        nodes,
        freezes: [
          { ...FREEZE, until: NOW },
          { ...FREEZE, node: "x*" },
        ],
      }),
    ).toMatchObject({ c: "notYet" });
  });
});

describe("since when", () => {
  test("the newest wave of wishes, back as long as the next older wish is within the hour", () => {
    const wishes = [0, 50, 100, 161, 162].map((minutes) => NOW - minutes * MINUTE_MS);
    const nodes = wishes.map((wishedAt, index) => node(`n${index}`, { wishedAt, at: wishedAt + 1 }));
    expect(seen({ nodes }).since).toBe(NOW - 100 * MINUTE_MS);
    expect(seen({ nodes }).counts).toMatchObject({ done: 3, notYet: 2 });
  });

  test("nodes that stand in line begin a new wave before any of them is done", () => {
    const old = { wishedAt: NOW - 48 * HOUR_MS, at: NOW - 48 * HOUR_MS };
    const rollout = seen({ nodes: [node("a", old), node("b", old)], claims: [claim("a", "waiting")] });
    expect(rollout.since).toBe(NOW - MINUTE_MS);
    expect(rollout.counts).toMatchObject({ waiting: 1, notYet: 1 });
  });

  test("nothing is known of an action that no node of the group has heard of", () => {
    expect(seen({ nodes: [node("a", null)] }, NOW - HOUR_MS)).toMatchObject({ since: null, etaMs: null });
  });
});

describe("when it will be over", () => {
  test("what remains takes as long for each as what is done took", () => {
    const since = NOW - 10 * MINUTE_MS;
    const done = [1, 2, 3, 4].map((index) => node(`d${index}`, { wishedAt: since }));
    const needless = node("n", { outcome: "not-needed", ranMs: null, wishedAt: since });
    const facts = { nodes: [...done, needless, node("x", null), node("y", null)], claims: [claim("z", "running")] };
    expect(seen(facts, since).etaMs).toBe((10 * MINUTE_MS * 3) / 4);
    // Somebody asks for all since yesterday: the pace is that of the work, which began later.
    expect(seen(facts, NOW - 24 * HOUR_MS).etaMs).toBe((10 * MINUTE_MS * 3) / 4);
  });

  test("at once when all is done; never when the rest waits behind a failure or a freeze", () => {
    const [done, rest] = [node("a", {}), node("b", null)];
    expect(seen({ nodes: [done] }).etaMs).toBe(0);
    expect(seen({ nodes: [rest, done], claims: [claim("c", "failed")] }).etaMs).toBeNull();
    expect(seen({ nodes: [rest, done], claims: [claim("c", "failed"), claim("d", "running")] }).etaMs).not.toBeNull();
    expect(seen({ nodes: [rest, done], freezes: [FREEZE] }).etaMs).toBeNull();
    expect(seen({ nodes: [rest, done], freezes: [{ ...FREEZE, node: "x" }] }).etaMs).not.toBeNull();
    expect(seen({ nodes: [done, node("c", { outcome: "failed" })] }).etaMs).toBeNull();
    expect(seen({ nodes: [rest], claims: [claim("d", "running")] }).etaMs).toBeNull();
  });
});

test("the locks of an action are those that the group's nodes name", () => {
  const nodes = [
    node("a", { lock: "z" }),
    node("b", {}),
    node("c", {}),
    node("d", { lock: "y" }, { group: "db" }),
    node("e", null),
  ];
  expect(locksOfAction("restart", "web", nodes)).toEqual(["restart/nginx", "z"]);
});

const NOTHING: RolloutFacts = { nodes: [], claims: [], freezes: [], locks: [], now: { ms: NOW, errorMs: 0 } };
const OUTCOMES = ["ran", "already-restarted", "not-needed", "failed", "timed-out", "frozen", "begun", "rebooting", "?"];
const CONDITIONS = ["running", "waiting", "failed", "stale", "soaking", "rebooting", "open", "draining", "verifying"] as const;
const someTime = fc.integer({ min: NOW - 72 * HOUR_MS, max: NOW });
const someName = fc.constantFrom("a", "b", "c", "d", "e", "f");
const someGroup = fc.constantFrom("web", "db");
const someEntry = fc.record({
  outcome: fc.constantFrom(...OUTCOMES),
  at: someTime,
  wishedAt: someTime,
  ranMs: fc.option(fc.nat({ max: HOUR_MS })),
  pendingSince: fc.option(someTime),
});
const someNodes = fc.uniqueArray(fc.record({ name: someName, entry: fc.option(someEntry), group: someGroup }), {
  selector: ({ name }) => name,
});
const someClaims = fc.array(
  fc.record({ name: someName, condition: fc.constantFrom(...CONDITIONS), group: someGroup, since: someTime }),
);
const someFreezes = fc.array(fc.record({ node: fc.option(someName), group: fc.option(someGroup), until: fc.option(someTime) }), {
  maxLength: 2,
});

test("whatever is known, each node of the group is in exactly one state, and the counts add up", () => {
  fc.assert(
    fc.property(someNodes, someClaims, someFreezes, fc.option(someTime), (nodes, claims, freezes, since) => {
      const rollout = seen(
        {
          nodes: nodes.map(({ name, entry, group }) => node(name, entry, { group })),
          claims: claims.map(({ name, condition, group, since: joined }) =>
            claim(name, condition, { since: joined, owner: { ...claim(name, condition).owner, group } }),
          ),
          freezes: freezes.map((changes) => ({ ...FREEZE, ...changes })),
        },
        since,
      );
      const names = [...nodes, ...claims].filter(({ group }) => group === "web").map(({ name }) => name);
      expect(rollout.each.map((one) => one.node)).toEqual([...new Set(names)].sort());
      for (const state of ROLLOUT_STATES)
        expect(rollout.counts[state]).toBe(rollout.each.filter((one) => one.state === state).length);
      expect(Object.values(rollout.counts).reduce((sum, count) => sum + count, 0)).toBe(rollout.each.length);
      expect(rollout.etaMs === null || (Number.isFinite(rollout.etaMs) && rollout.etaMs >= 0)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test("at the same moment, the more nodes are done, the sooner it will be over", () => {
  const since = NOW - HOUR_MS;
  const etaWith = (done: number, all: number) =>
    seen({ nodes: Array.from({ length: all }, (_, index) => node(`n${index}`, index < done ? { wishedAt: since } : null)) }, since)
      .etaMs;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), (done, rest) => {
      expect(etaWith(done + 1, done + rest)).toBeLessThan(etaWith(done, done + rest) as number);
    }),
  );
});
