import { stripVTControlCharacters } from "node:util";
import { NONE_GONE } from "../support/perspectives.js";
import { describe, expect, test } from "vitest";
import { history, parseHistory, renderHistory } from "../../src/cli/commands/history.js";
import { widthOf } from "../../src/cli/render.js";
import type { HistoryRecord } from "../../src/locks/history.js";
import { claim, context, fakeStore, invocation, NOW, recordedIo, settings } from "./fakes.js";

function record(changes: Partial<HistoryRecord> = {}): HistoryRecord {
  return {
    lock: "l",
    claim: "c",
    owner: claim().owner,
    event: "cleared",
    by: "ann",
    reason: "by hand",
    claimedAt: NOW - 120_000,
    isKept: false,
    failure: null,
    endedAt: NOW - 60_000,
    description: null,
    lease: null,
    data: { a: 1 },
    ...changes,
  };
}

const HOST_LOCK = record({
  lock: "host/dc01",
  claim: "h",
  owner: { node: "admin-01", principal: "bob", action: null, process: null },
  event: "released",
  by: "bob",
  reason: null,
  description: "new disks",
  lease: { type: "host", caller: "OPS-1", path: null, locks: ["host/dc01"] },
  data: null,
});

/** Behaves like a store: newest first, no more than asked for. Remembers each limit. */
function storeWith(records: readonly HistoryRecord[], asked: number[] = []) {
  const store = fakeStore({});
  return Object.assign(store, {
    history: (lock: string | null, limit: number) => {
      asked.push(limit);
      return Promise.resolve(records.filter((one) => lock === null || one.lock === lock).slice(0, limit));
    },
  });
}

async function show(records: readonly HistoryRecord[], args: string[] = [], options: Record<string, unknown> = {}) {
  const io = recordedIo();
  expect(await history.run(context(storeWith(records), io), invocation(args, options))).toBe(0);
  return io.out().trimEnd().split("\n");
}

async function claims(records: readonly HistoryRecord[], options: Record<string, unknown> = {}, asked: number[] = []) {
  const io = recordedIo();
  await history.run(context(storeWith(records, asked), io, { json: true }), invocation([], options));
  return (JSON.parse(io.out()) as { history: { claim: string }[] }).history.map((one) => one.claim);
}

describe("for people", () => {
  test("who locked what, why, for how long, and how and by whom it was ended", async () => {
    expect(await show([record(), HOST_LOCK])).toEqual([
      "ENDED      LOCK       EVENT     NODE      WHAT           HELD FOR  LOCKED BY           ENDED BY  REASON",
      "1 min ago  l          cleared   web-07    restart-nginx  1 min     deploy@example.com  ann       by hand",
      '    data: {"a":1}',
      "1 min ago  host/dc01  released  admin-01  host           1 min     bob                 bob",
      "    caller: OPS-1",
      "    description: new disks",
    ]);
  });

  test("that nobody has ended a lease whose time was over", async () => {
    const [, line] = await show([record({ event: "expired", by: null, reason: null, data: null })]);
    expect(line).toMatch(/expired .* deploy@example\.com +its time was over$/);
  });

  test("exact times and the claim's id for those who ask for more", () => {
    const lines = renderHistory([{ record: record(), now: NOW }], {
      paint: (_, text) => text,
      columns: Number.POSITIVE_INFINITY,
      isExact: true,
      perspective: NONE_GONE,
    });
    expect(lines[1]).toMatch(/^2025-11-21T08:59:00\.000Z {2}l /);
    expect(lines[2]).toBe("    claim c, locked 2025-11-21T08:58:00.000Z, unlocked 2025-11-21T08:59:00.000Z");
  });

  test("fits a narrow terminal, and has colours there", async () => {
    const io = recordedIo({ isTerminal: true, mayColour: true, columns: 40 });
    await history.run(context(storeWith([record(), HOST_LOCK]), io), invocation([]));
    expect(io.out()).toContain("\x1b[33mcleared\x1b[0m");
    expect(io.out()).toContain("locked by deploy@example.com");
    for (const line of stripVTControlCharacters(io.out()).split("\n")) expect(widthOf(line), line).toBeLessThanOrEqual(40);
  });

  test("what others wrote cannot reach the terminal", async () => {
    const evil = record({
      by: "\x1b[1A",
      reason: "\x1b[2J",
      description: "a\nb",
      data: "\x9b",
      lease: { ...HOST_LOCK.lease!, caller: "\x07" },
    });
    expect((await show([evil])).join("")).not.toMatch(/\p{Cc}/u);
  });

  test("nothing there is told apart from nothing found", async () => {
    expect(await show([])).toEqual(["no claim has ended yet"]);
    expect(await show([], ["never/seen"])).toEqual([
      "nobody claims never/seen, and the history has no record of it: holdline locks and holdline history show the known names",
    ]);
    expect(await show([record()], [], { by: "nobody" })).toEqual(["no such claim is in the history"]);
  });
});

test("JSON is as in the contract, with who it was for and why", async () => {
  const io = recordedIo();
  await history.run(context(storeWith([record(), HOST_LOCK]), io, { json: true }), invocation([]));
  expect(JSON.parse(io.out())).toEqual({
    history: [
      {
        lock: "l",
        claim: "c",
        owner: {
          node: "web-07",
          group: "default",
          machine: null,
          principal: "deploy@example.com",
          action: "restart-nginx",
          pid: 42,
        },
        lease: null,
        event: "cleared",
        by: "ann",
        reason: "by hand",
        claimedAt: "2025-11-21T08:58:00.000Z",
        endedAt: "2025-11-21T08:59:00.000Z",
        description: null,
        data: { a: 1 },
        failure: null,
      },
      {
        lock: "host/dc01",
        claim: "h",
        owner: { node: "admin-01", group: "default", machine: null, principal: "bob", action: null, pid: null },
        lease: { type: "host", caller: "OPS-1", path: null },
        event: "released",
        by: "bob",
        reason: null,
        claimedAt: "2025-11-21T08:58:00.000Z",
        endedAt: "2025-11-21T08:59:00.000Z",
        description: "new disks",
        data: null,
        failure: null,
      },
    ],
  });
});

const ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

describe("filters", () => {
  const ended = (agoMs: number, changes: Partial<HistoryRecord> = {}) =>
    record({ claim: `${agoMs}`, endedAt: NOW - agoMs, by: "ops", ...changes });

  test("choose by when, by whom, how, and which", async () => {
    const records = [
      ended(1_000, { event: "released" }),
      ended(2_000, { by: "ann" }),
      ended(3_000, { owner: { ...claim().owner, principal: "ann" } }),
      ended(4_000, { lease: { type: "generic", caller: "ann", path: null, locks: [] } }),
      ended(5_000, { event: "expired" }),
    ];
    expect(await claims(records)).toEqual(["1000", "2000", "3000", "4000", "5000"]);
    expect(await claims(records, { since: "3 s" })).toEqual(["1000", "2000", "3000"]);
    expect(await claims(records, { by: "ann" })).toEqual(["2000", "3000", "4000"]);
    expect(await claims(records, { event: "expired" })).toEqual(["5000"]);
    expect(await claims([...records, ended(6_000, { claim: ID })], { id: ID })).toEqual([ID]);
    expect(await claims(records, { id: ID, event: "expired" })).toEqual([]);
  });

  test("are not cut short by a lease that was found long after its time was over", async () => {
    const records = Array.from({ length: 300 }, (_, index) =>
      index === 99 ? ended(9_000_000, { event: "expired", by: null }) : ended(index, { by: index === 250 ? "ann" : "ops" }),
    );
    expect(await claims(records, { by: "ann", since: "1 h" })).toEqual(["250"]);
  });

  test("apply before the limit, however far back what fits lies", async () => {
    const records = Array.from({ length: 5_000 }, (_, index) => ended(index, { by: index % 1_000 === 999 ? "ann" : "ops" }));
    const asked: number[] = [];
    expect(await claims(records, { by: "ann", limit: "3" }, asked)).toEqual(["999", "1999", "2999"]);
    expect(asked, "more at each step").toEqual([100, 800, 6_400]);
    expect(await claims(records, { by: "ann" })).toHaveLength(5);
  });

  test("ask a store for no more than is needed", async () => {
    const records = Array.from({ length: 5_000 }, (_, index) => ended(index * 1_000));
    const asked: number[] = [];
    expect(await claims(records, {}, asked)).toHaveLength(20);
    expect(await claims(records, { since: "10 s", by: "nobody" }, asked)).toEqual([]);
    expect(asked).toEqual([20, 100]);
  });

  test.each([
    [{ limit: "0" }, '--limit: must be a whole number from 1 to 100000, not "0"'],
    [{ since: "yesterday" }, "--since: must be a number of seconds, or a number and a unit"],
    [{ since: "0" }, "--since: must be more than 0"],
    [{ event: "ended" }, '--event: must be failed, released, cleared, expired, recovered, frozen or thawed, not "ended"'],
    [{ by: "" }, "--by: must not be empty"],
    [{ id: "4000" }, "--id: must be the id of a claim, a UUID"],
    [{ id: " " }, "--id: must not be empty"],
  ])("that make no sense are refused: %j", (options, message) => {
    expect(() => parseHistory(invocation([], options))).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringContaining(message) as string }) as Error,
    );
  });

  test("a name that no lock can have is refused before the store is asked", async () => {
    await expect(history.run(context(null, recordedIo()), invocation(["../x"]))).rejects.toMatchObject({ code: "usage" });
  });
});

test("with several stores their records are one list, and each lock's are its own store's", async () => {
  const general = storeWith([
    record({ lock: "a", claim: "1", endedAt: NOW - 10 }),
    record({ lock: "m", claim: "stray", endedAt: NOW }),
  ]);
  const other = storeWith([
    record({ lock: "m", claim: "2", endedAt: NOW - 5 }),
    record({ lock: "m", claim: "3", endedAt: NOW - 20 }),
  ]);
  const io = recordedIo();
  const named = settings({ locks: new Map([["m", { ttlMs: null, principal: null, coordinator: "sqlite:///other.db" }]]) });
  const changes = { settings: named, coordinators: () => Promise.resolve([general, other]), json: true };
  await history.run(context(null, io, changes), invocation([], { limit: "2" }));
  expect((JSON.parse(io.out()) as { history: { claim: string }[] }).history.map((one) => one.claim)).toEqual(["2", "1"]);
});
