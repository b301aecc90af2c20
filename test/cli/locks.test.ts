import { BY_STORE } from "../support/perspectives.js";
import { describe, expect, test } from "vitest";
import { lockAsJson } from "../../src/views/json.js";
import { claimsOn, viewLock } from "../../src/views/lock.js";
import { locks } from "../../src/cli/commands/locks.js";
import { renderLocks } from "../../src/cli/listing.js";
import { widthOf } from "../../src/cli/render.js";
import type { View } from "../../src/cli/table.js";
import type { Claim, LeaseType, StageName } from "../../src/locks/claim.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { claim, context, FAILURE, fakeStore, invocation, NOW, recordedIo, settings, waitingClaim } from "./fakes.js";

const MINUTE = 60_000;
const PLAIN: View = { paint: (_, text) => text, columns: Number.POSITIVE_INFINITY, isExact: false, perspective: BY_STORE };

/** A lock's queue as lines. */
const render = (lock: string, queue: readonly Claim[], view: Partial<View> = {}): string[] =>
  renderLocks([{ ...viewLock(lock, queue, BY_STORE), now: NOW }], { ...PLAIN, ...view });

function lease(
  type: LeaseType,
  changes: Partial<Claim> = {},
  { caller = null as string | null, path = null as string | null } = {},
) {
  const owner = { node: "admin-01", principal: "ann@example.com", action: null, process: null };
  return claim({ owner, lease: { type, caller, path, locks: ["restart/nginx"] }, ...changes });
}

async function show(queues: Parameters<typeof fakeStore>[0], args: string[] = [], json = false) {
  const io = recordedIo();
  const code = await locks.run(context(fakeStore(queues), io, { json }), invocation(args));
  return { code, out: io.out() };
}

describe("for people", () => {
  test("holders and waiters line up, with since when, by whom, doing what, and their places", () => {
    const queue = [claim(), waitingClaim("web-08", { since: NOW - 5_000 }), waitingClaim("web-109", { since: NOW - 100 })];
    expect(render("restart/nginx", queue)).toEqual([
      "LOCK           PLACE  NODE     WHAT           SINCE     BY                  STATE",
      "restart/nginx  held   web-07   restart-nginx  12 s ago  deploy@example.com  running, its agent lives",
      "               1st    web-08   restart-nginx  5 s ago   deploy@example.com  waiting",
      "               2nd    web-109  restart-nginx  just now  deploy@example.com  waiting",
    ]);
  });

  test("a failed holder stands out, with the last line of its output and the way out", () => {
    const lines = render("restart/nginx", [claim({ failure: FAILURE, alive: false, data: { ticket: "OPS-1" } })]);
    expect(lines[1]).toMatch(/FAILED on web-07 12 min ago: exit code 1$/);
    expect(lines.slice(2, 5)).toEqual([
      "    last output: nginx: [emerg] unknown directive",
      "    claim 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
      '    data: {"ticket":"OPS-1"}',
    ]);
    expect(lines.at(-1)).toContain("holdline clear LOCK --reason TEXT");
  });

  test("of a durable exec the way out is the same command, and of both kinds both are said", () => {
    const exec = claim({ alive: false, owner: { ...claim().owner, action: "exec backup 0123456789ab" } });
    const waysOut = (...queue: Claim[]) => {
      const lines = render("l", queue);
      return lines.slice(lines.indexOf("") + 1).join(" ");
    };
    expect(waysOut(exec)).toContain("(there: the same holdline exec --durable), or when an admin ends it");
    expect(waysOut(exec)).not.toContain("holdline resume");
    expect(waysOut(claim({ alive: false }))).not.toContain("exec");
    const both = waysOut(claim({ failure: FAILURE, slots: 2 }), { ...exec, id: "other", slots: 2 });
    expect(both).toContain("holdline resume");
    expect(both).toContain("exec --durable");
  });

  test("a claim says how far its work has come, and until when, also once its agent is gone", () => {
    const at = (name: StageName, forMs: number | null, changes: Partial<Claim> = {}) =>
      claim({ stage: { name, since: NOW - 2 * MINUTE, until: forMs === null ? null : NOW + forMs, drained: true }, ...changes });
    const stateOf = (shown: Claim, view: Partial<View> = {}) => render("l", [shown], view)[1]?.split("deploy@example.com  ")[1];
    expect(stateOf(at("draining", null))).toBe("draining since 2 min ago");
    expect(stateOf(at("open", null))).toBe("open since 2 min ago");
    expect(stateOf(at("soaking", 4 * MINUTE))).toMatch(/^soaking until \d\d:\d\d UTC, 4 min left$/);
    expect(stateOf(at("rebooting", MINUTE))).toMatch(/^rebooting since 2 min ago, until \d\d:\d\d UTC, 1 min left$/);
    expect(stateOf(at("open", null), { isExact: true })).toBe(`open since ${new Date(NOW - 2 * MINUTE).toISOString()}`);
    expect(stateOf(at("draining", null, { alive: false }))).toBe("STALE: its agent is gone, while it drained the node");
    expect(stateOf(at("soaking", MINUTE, { alive: false }))).toBe("STALE: its agent is gone; the action had succeeded and soaked");
    const drained = "    its node may still be drained: its hook `after` has not run";
    expect(render("l", [at("running", null, { failure: FAILURE })])).toContain(drained);
    expect(render("l", [at("draining", null, { alive: false })])).toContain(drained);
    expect(render("l", [at("running", null)])).not.toContain(drained);
  });

  test("a stale holder stands out, and where to look before it is cleared", () => {
    const lines = render("l", [claim({ alive: false })]);
    expect(lines[1]).toMatch(/STALE: its agent is gone$/);
    expect(lines.at(-1)).toBe(
      "Before you clear a stale one, see on web-07 that its command has ended: it may have outlived its agent.",
    );
    expect(render("l", [claim({ failure: FAILURE })]).join()).not.toContain("Before you clear");
  });

  test("a lease says until when, why, and by which id it is released", () => {
    expect(render("l", [lease("lease", { expiresAt: NOW + 90_000, reason: "maintenance", key: "k" })]).slice(1)).toEqual([
      "l     held   admin-01  lease [k]  12 s ago  ann@example.com  leased until 09:01 UTC, 1 min 30 s left",
      "    claim 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
      "    reason: maintenance",
    ]);
    expect(render("l", [lease("lease", { expiresAt: NOW + 86_400_000 })])[1]).toMatch(
      /leased until 2025-11-22 09:00 UTC, 1 d left$/,
    );
    expect(render("l", [lease("lease", { alive: false })])[1]).toMatch(/leased until it is released$/);
  });

  test("a host lock says its type, and for whom and why", () => {
    const [host] = [lease("host", { reason: "new disks", slots: 1 }, { caller: "OPS-1" })];
    expect(render("host/dc01", [host]).slice(1)).toEqual([
      "host/dc01  held   admin-01  host  12 s ago  ann@example.com  leased until it is released",
      "    claim 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
      "    caller: OPS-1",
      "    description: new disks",
    ]);
    const file = lease(
      "file",
      { key: "generic", data: { a: 1 }, durable: false, slots: Number.POSITIVE_INFINITY },
      { path: "/srv/x" },
    );
    expect(render("host/fs", [{ ...file, key: "generic" }])[1]).toContain("  file  ");
    expect(render("host/fs", [file]).slice(-2)).toEqual(["    path: /srv/x", '    data: {"a":1}']);
  });

  test("contenders that disagree on the slots are pointed out, in one line", () => {
    const at = (node: string, slots: number, key: string | null = null) =>
      claim({ id: node, slots, key, owner: { ...claim().owner, node } });
    const warnings = (...queue: Claim[]) => render("l", queue).filter((line) => line.includes("warning"));
    expect(warnings(at("web-01", 3), at("web-02", 3), at("web-03", 1))).toEqual([
      "    warning: contenders disagree on the slots of l: 1 (web-03), 3 (web-01, web-02); the smallest among a claim and those before it counts",
    ]);
    const many = ["a", "b", "c", "d", "e"].map((node) => at(node, Number.POSITIVE_INFINITY, "k"));
    expect(warnings(at("z", 2, "k"), ...many)).toEqual([
      "    warning: contenders with the key k disagree on the slots of l: 2 (z), unlimited (a, b, c, 2 more); the smallest among a claim and those before it counts",
    ]);
    expect(warnings(at("a", 2), at("b", 2), at("c", 5, "k"))).toEqual([]);
  });

  test("exact times, ids and fencing tokens are there for those who ask for more", () => {
    const lines = render("l", [claim({ failure: { ...FAILURE, output: "" } }), lease("lease", { expiresAt: NOW + 1_000 })], {
      isExact: true,
    });
    expect(lines[1]).toMatch(/ 2025-11-21T08:59:48\.000Z .* FAILED on web-07 2025-11-21T08:48:00\.000Z: exit code 1$/);
    expect(lines.slice(2, 4)).toEqual(["    claim 3f2504e0-4f89-41d3-9a0c-0305e82c3301", "    fencing token 7"]);
    const [, leased] = render("l", [lease("lease", { expiresAt: NOW + 1_000 })], { isExact: true });
    expect(leased).toMatch(/leased until 2025-11-21T09:00:01\.000Z$/);
  });

  describe("on a narrow terminal", () => {
    const queue = [
      claim({ failure: { ...FAILURE, message: "the check failed: exit code 1 (tried 6 times)" }, data: { ticket: "OPS-1" } }),
      waitingClaim("web-08"),
    ];

    test("the state is broken between words while there is room for it beside the rest", () => {
      expect(render("restart/nginx", queue, { columns: 110 }).slice(0, 6)).toEqual([
        "LOCK           PLACE  NODE    WHAT           SINCE     BY                  STATE",
        "restart/nginx  held   web-07  restart-nginx  12 s ago  deploy@example.com  FAILED on web-07 12 min ago: the",
        "                                                                           check failed: exit code 1 (tried 6",
        "                                                                           times)",
        "    last output: nginx: [emerg] unknown directive",
        "    claim 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
      ]);
    });

    test("each claim has lines of its own where there is none", () => {
      expect(render("restart/nginx", queue, { columns: 60 }).slice(0, 7)).toEqual([
        "restart/nginx  held  web-07  restart-nginx  12 s ago",
        "    by deploy@example.com",
        "    FAILED on web-07 12 min ago: the check failed: exit code",
        "    1 (tried 6 times)",
        "    last output: nginx: [emerg] unknown directive",
        "    claim 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        '    data: {"ticket":"OPS-1"}',
      ]);
    });

    test.each([10, 20, 40, 79, 80, 100, 132, 200])("no line is wider than its %i columns", (columns) => {
      const wide = [lease("host", { lock: "再起動" }, { caller: "再".repeat(70) }), waitingClaim("a-rather-long-name.example.com")];
      for (const lines of [render("restart/nginx", queue, { columns }), render("再起動", wide, { columns })])
        for (const line of lines) expect(widthOf(line), line).toBeLessThanOrEqual(columns);
    });

    test("colours go with the words, also where these are broken", async () => {
      const io = recordedIo({ isTerminal: true, mayColour: true, columns: 50 });
      await locks.run(context(fakeStore({ l: queue }), io), invocation([]));
      expect(io.out()).toContain("\x1b[31mFAILED on web-07 12 min ago: the check failed:\x1b[0m\n    \x1b[31mexit code 1");
    });
  });

  test("what others wrote cannot reach the terminal", () => {
    const evil = claim({
      lock: "a\x1b[2J",
      owner: { ...claim().owner, node: "\x1b]0;x\x07" },
      reason: "\r\nheld  me",
      failure: { ...FAILURE, message: "\x1b[1A", output: "\x1b[2K" },
    });
    const lesser = lease("file", { reason: "\x1b[3J" }, { caller: "\x1b[4J", path: "\x1b[5J" });
    for (const columns of [Number.POSITIVE_INFINITY, 30])
      expect(render("a\x1b[2J", [evil, lesser], { columns }).join("\n").replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  });

  test("colours are for terminals", async () => {
    const io = recordedIo({ isTerminal: true, mayColour: true });
    await locks.run(context(fakeStore({ l: [claim({ failure: FAILURE })] }), io), invocation([]));
    expect(io.out()).toContain("\x1b[31mFAILED on web-07");
    expect((await show({ l: [claim({ failure: FAILURE })] })).out).not.toContain("\x1b");
    const noColour = recordedIo({ isTerminal: true, mayColour: false });
    await locks.run(context(fakeStore({ l: [claim()] }), noColour), invocation([]));
    expect(noColour.out()).not.toContain("\x1b");
  });
});

const HOST = { type: "host", caller: "OPS-1", path: null, locks: ["restart/nginx", "host/b"] } as const;

describe("as JSON", () => {
  test("a lock is exactly as in the contract", () => {
    const queue = [
      claim({ failure: FAILURE, alive: false, data: { ticket: "OPS-1" } }),
      waitingClaim("web-08", { id: "w", key: "k", slots: Number.POSITIVE_INFINITY, lease: HOST }),
    ];
    expect(JSON.parse(JSON.stringify(lockAsJson(viewLock("restart/nginx", queue, BY_STORE))))).toEqual({
      lock: "restart/nginx",
      holders: [
        {
          id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
          state: "held",
          condition: "failed",
          durable: true,
          key: null,
          slots: 1,
          percent: null,
          owner: {
            node: "web-07",
            group: "default",
            machine: null,
            principal: "deploy@example.com",
            action: "restart-nginx",
            pid: 42,
          },
          lease: null,
          since: "2025-11-21T08:59:48.000Z",
          stage: null,
          expiresAt: null,
          fencingToken: 7,
          reason: null,
          data: { ticket: "OPS-1" },
          failure: { exitCode: 1, signal: null, message: "exit code 1", output: FAILURE.output, at: "2025-11-21T08:48:00.000Z" },
        },
      ],
      waiting: [
        {
          id: "w",
          state: "waiting",
          condition: "waiting",
          durable: false,
          key: "k",
          slots: null,
          percent: null,
          owner: {
            node: "web-08",
            group: "default",
            machine: null,
            principal: "deploy@example.com",
            action: "restart-nginx",
            pid: 42,
          },
          lease: { type: "host", caller: "OPS-1", path: null },
          since: "2025-11-21T08:59:48.000Z",
          stage: null,
          expiresAt: null,
          fencingToken: null,
          reason: null,
          data: null,
          failure: null,
        },
      ],
    });
  });

  test("conditions are told apart", () => {
    const conditions = (...queue: Parameters<typeof viewLock>[1]) =>
      claimsOn(viewLock("l", queue, BY_STORE)).map(({ condition }) => condition);
    expect(conditions(claim(), waitingClaim("b"))).toEqual(["running", "waiting"]);
    expect(conditions(claim({ alive: false }))).toEqual(["stale"]);
    expect(conditions(lease("lease", { expiresAt: NOW + 1, alive: false }))).toEqual(["leased"]);
    expect(conditions(lease("generic"))).toEqual(["leased"]);
    expect(conditions(claim({ slots: 2 }), claim({ slots: 2 }), claim({ slots: 2 }))).toEqual(["running", "running", "waiting"]);
  });

  test("all locks are one document, without those that nobody claims", async () => {
    const { code, out } = await show({ b: [claim({ lock: "b" })], a: [] }, [], true);
    expect(code).toBe(0);
    expect((JSON.parse(out) as { locks: { lock: string }[] }).locks.map(({ lock }) => lock)).toEqual(["b"]);
    expect(out.trimEnd()).not.toContain("\n");
  });
});

describe("nobody there", () => {
  test("is no error when all locks were asked for", async () => {
    expect(await show({})).toEqual({ code: 0, out: "nobody holds or waits for any lock\n" });
    expect(await show({}, [], true)).toEqual({ code: 0, out: '{"locks":[],"freezes":[]}\n' });
  });

  test("exits 1 when one lock was asked for", async () => {
    expect(await show({}, ["x"])).toEqual({ code: 1, out: "nobody holds or waits for x\n" });
    expect(await show({}, ["x"], true)).toEqual({ code: 1, out: '{"locks":[],"freezes":[]}\n' });
    expect((await show({ x: [claim()] }, ["x"])).code).toBe(0);
  });

  test("a name that no lock can have is refused before the store is asked", async () => {
    await expect(locks.run(context(null, recordedIo()), invocation(["a/../b"]))).rejects.toMatchObject({ code: "usage" });
  });
});

describe("a lease whose time is over", () => {
  const over = lease("lease", { expiresAt: NOW, id: "over", ref: "over" });
  const next = waitingClaim("web-08", { id: "next" });

  test("is ended by the first who meets it, and never shown", async () => {
    const queue = [over, next];
    const store = fakeStore(
      { l: queue, other: [claim({ id: "other", lock: "other" })] },
      { leave: [() => (queue.shift(), "done")] },
    );
    const io = recordedIo();
    expect(await locks.run(context(store, io, { json: true }), invocation([]))).toBe(0);
    expect(store.ended).toEqual([
      { id: "over", entries: [over], ending: { event: "expired", by: null, reason: null, endedAt: over.expiresAt } },
    ]);
    expect(JSON.parse(io.out())).toMatchObject({
      locks: [{ lock: "l", holders: [], waiting: [{ id: "next", state: "waiting" }] }, { lock: "other" }],
    });
  });

  test("is not shown to those who may not end it either", async () => {
    const refuse = () => {
      throw new HoldlineError("not-allowed", "the claim belongs to other credentials");
    };
    const store = fakeStore({ l: [over, next], m: [over] }, { leave: [refuse] });
    const io = recordedIo();
    await locks.run(context(store, io, { json: true }), invocation([]));
    expect(JSON.parse(io.out())).toMatchObject({ locks: [{ lock: "l", holders: [], waiting: [{ id: "next" }] }] });
  });

  test("is one that lasts for as long as its time is not over", async () => {
    const store = fakeStore({ l: [{ ...over, expiresAt: NOW + 1 }] });
    expect(await locks.run(context(store, recordedIo()), invocation(["l"]))).toBe(0);
    expect(store.ended).toEqual([]);
  });
});

describe("with several stores", () => {
  const text = { ttlMs: null, principal: null };
  const named = settings({
    coordinator: "sqlite:///general.db",
    locks: new Map([["m", { ...text, coordinator: "sqlite:///other.db" }]]),
  });
  const at = (lock: string, id: string) => claim({ lock, id });
  // Each store also has a queue that this configuration looks for elsewhere.
  const general = fakeStore({ a: [at("a", "1")], m: [at("m", "stray")], z: [at("z", "2")] });
  const other = fakeStore({ m: [at("m", "3")], a: [at("a", "stray")] });
  const both = {
    settings: named,
    coordinator: (lock: string) => Promise.resolve(lock === "m" ? other : general),
    coordinators: () => Promise.resolve([general, other]),
  };

  async function ids(...args: string[]) {
    const io = recordedIo();
    await locks.run(context(null, io, { ...both, json: true }), invocation(args));
    const { locks: seen } = JSON.parse(io.out()) as { locks: { lock: string; holders: { id: string }[] }[] };
    return seen.map(({ lock, holders }) => `${lock}: ${holders.map(({ id }) => id).join()}`);
  }

  test("all locks are those of all stores, sorted, each from its own", async () => {
    expect(await ids()).toEqual(["a: 1", "m: 3", "z: 2"]);
  });

  test("one lock is looked for in its own store alone", async () => {
    expect(await ids("m")).toEqual(["m: 3"]);
    expect(await ids("a")).toEqual(["a: 1"]);
  });
});
