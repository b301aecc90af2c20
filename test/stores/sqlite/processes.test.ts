// Many processes on one database at once, as they should and killed at any moment: one holder at a time, nothing lost.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../../support/leaks.js";
import { freshDirectory } from "../../support/roots.js";
import { until } from "../../support/wait.js";
import { idsIn, recordFor, draftFor, RELEASED } from "../../coordinators/conformance/store.js";
import { contenderFor, meddle, openFor } from "./store.js";

failOnLeaks();

interface Turns {
  /** The claims in the order of their turns, by when they began. */
  readonly order: readonly string[];
  /** Which claims had their turn at the same moment as another; each moment's set. */
  readonly together: readonly ReadonlySet<string>[];
  readonly tokens: readonly number[];
}

function readTrace(path: string): Turns {
  const order: string[] = [];
  const tokens: number[] = [];
  const together: ReadonlySet<string>[] = [];
  const now = new Set<string>();
  for (const line of readFileSync(path, "utf8").trim().split("\n")) {
    const [id = "", token] = line.slice(1).split(" ");
    if (line.startsWith("+")) {
      now.add(id);
      order.push(id);
      tokens.push(Number(token));
    } else now.delete(id);
    together.push(new Set(now));
  }
  return { order, tokens, together };
}

async function freshPlaces(): Promise<{ path: string; trace: string }> {
  const directory = await freshDirectory();
  return { path: join(directory, "holdline.db"), trace: join(directory, "trace") };
}

describe("twenty processes", () => {
  test("on one lock go strictly one after another, in the order in which they joined", async () => {
    const { path, trace } = await freshPlaces();
    const coordinator = await openFor(path);
    // All wait behind this one, so that the order of joining is known before the first turn.
    const draft = draftFor("a");
    const settled = await coordinator.settle(draft, await coordinator.join(draft), recordFor(draft));
    const task = { locks: ["a"], until: "all", trace } as const;
    const contenders = await Promise.all(Array.from({ length: 20 }, () => contenderFor(path, task)));
    const line = await until(
      async () => {
        const ids = await idsIn(coordinator, "a");
        return ids.length === 21 ? ids : null;
      },
      { what: "all twenty to stand in line", deadlineMs: 50_000 },
    );
    await coordinator.leave(draft.id, settled.entries, RELEASED);
    await Promise.all(contenders.map((contender) => contender.ended()));
    const { order, together, tokens } = readTrace(trace);
    expect(order).toEqual(line.slice(1));
    expect(Math.max(...together.map(({ size }) => size))).toBe(1);
    expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
    expect(await coordinator.list()).toEqual([]);
    expect((await coordinator.history("a", 100)).map(({ claim }) => claim)).toEqual([...line].reverse());
  });

  test("with three slots are never more than three at once", async () => {
    const { path, trace } = await freshPlaces();
    const task = { locks: ["a"], until: "all", slots: 3, trace } as const;
    const contenders = await Promise.all(Array.from({ length: 20 }, () => contenderFor(path, task)));
    await Promise.all(contenders.map((contender) => contender.ended()));
    const { order, together } = readTrace(trace);
    expect(order).toHaveLength(20);
    expect(Math.max(...together.map(({ size }) => size))).toBeLessThanOrEqual(3);
  });

  test("of two racks never overlap with the other rack's", async () => {
    const { path, trace } = await freshPlaces();
    const rackOf = new Map<string, string>();
    const contenders = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const key = `rack-${index % 2}`;
        const contender = await contenderFor(path, { locks: ["a"], until: "all", key, slots: null, trace });
        return { contender, key };
      }),
    );
    for (const { contender, key } of contenders) {
      await contender.ended();
      rackOf.set((await contender.event("settled"))["claim"] as string, key);
    }
    const { order, together } = readTrace(trace);
    expect(order).toHaveLength(20);
    for (const ids of together) expect(new Set([...ids].map((id) => rackOf.get(id))).size).toBeLessThanOrEqual(1);
  });
});

describe("processes that are killed at any moment", () => {
  test("never let two hold one lock, and leave a sound database", async () => {
    const { path, trace } = await freshPlaces();
    const coordinator = await openFor(path);
    const task = { locks: ["a", "b"], until: "all", rounds: 10_000, trace } as const;
    let killed = 0;
    for (let round = 0; round < 6; round += 1) {
      const contenders = await Promise.all([0, 1, 2].map(() => contenderFor(path, task)));
      await contenders[round % 3]?.event("settled");
      // Wherever they are just now: in the middle of a transaction, as often as not.
      await Promise.all(contenders.map((contender) => contender.kill()));
      killed += contenders.length;
      const left = await coordinator.queue("a");
      expect(left.filter(({ durable }) => !durable)).toEqual([]);
      expect(left.length).toBeLessThanOrEqual(1);
      expect((await coordinator.queue("b")).map(({ id }) => id)).toEqual(left.map(({ id }) => id));
      for (const claim of left) {
        expect(claim).toMatchObject({ durable: true, alive: false });
        const entries = [claim, ...(await coordinator.queue("b"))];
        expect(await coordinator.leave(claim.id, entries, { event: "recovered", by: "test", reason: null })).toBe("done");
      }
    }
    expect(killed).toBe(18);
    expect(meddle(path, (db) => db.pragma("integrity_check"))).toMatchObject([{ integrity_check: "ok" }]);
    const [a, b] = [await coordinator.history("a", 1_000_000), await coordinator.history("b", 1_000_000)];
    expect(a.length).toBeGreaterThan(0);
    expect(b.map(({ claim }) => claim)).toEqual(a.map(({ claim }) => claim));
    const { tokens } = readTrace(trace);
    expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
  });
});
