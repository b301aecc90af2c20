// The history in its table: kept short behind the releases, which do not wait for it, and read as earlier versions wrote it.
import { describe, expect, test } from "vitest";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshId } from "../../support/roots.js";
import { until } from "../../support/wait.js";
import { ownerAt, RELEASED, takeDurably } from "../../coordinators/conformance/store.js";
import { freshPath, meddle, openFor } from "./store.js";

failOnLeaks();

/** @param lock `null` for all of them */
function rowsOf(path: string, lock: string | null): number {
  const [row] = meddle(path, (db) =>
    db.prepare("SELECT count(*) AS count FROM history WHERE ?1 IS NULL OR lock = ?1").all([lock]),
  ) as { count: number }[];
  return row?.count as number;
}

async function end(coordinator: Coordinator, lock: string): Promise<string> {
  const { draft, settled } = await takeDurably(coordinator, lock);
  expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  return draft.id;
}

// One record in so many has all of the history looked at.
const LOOK_EVERY = 32;

describe("the history", () => {
  test("is trimmed when it is over by a tenth, and never shows more than is kept", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path, { historyKeep: 20 });
    let most = 0;
    for (let index = 0; index < 60; index += 1) {
      for (const lock of index % 2 === 0 ? ["a"] : ["a", "b"]) {
        const { draft, settled } = await takeDurably(coordinator, lock);
        expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
        expect((await coordinator.history(lock, 1_000)).length).toBeLessThanOrEqual(20);
        // As in any program, something else has a turn now and then.
        await new Promise((resolve) => setImmediate(resolve));
        if (lock === "a") most = Math.max(most, rowsOf(path, "a"));
      }
      const shown = await coordinator.history(null, 1_000);
      for (const lock of ["a", "b"]) expect(shown.filter((record) => record.lock === lock).length).toBeLessThanOrEqual(20);
    }
    await until(() => rowsOf(path, "a") <= 22 && rowsOf(path, "b") <= 22, "the histories to be short");
    // Not at every release, but at one in so many.
    expect(most).toBeGreaterThan(21);
    expect(most).toBeLessThanOrEqual(25);
  });

  test("is kept short also by processes that end with their release", async () => {
    const path = await freshPath();
    for (let index = 0; index < 8; index += 1) {
      const coordinator = await openFor(path, { historyKeep: 3 });
      const { draft, settled } = await takeDurably(coordinator, ["a", "b"]);
      expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
      await coordinator.close();
    }
    expect([rowsOf(path, "a"), rowsOf(path, "b")]).toEqual([3, 3]);
  });

  test("has a bound over all locks, which holds for readers at once", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path, { historyTotal: 5 });
    const claims: string[] = [];
    for (let index = 1; index < LOOK_EVERY; index += 1) claims.unshift(await end(coordinator, `ci/${index}`));
    expect(rowsOf(path, null)).toBe(LOOK_EVERY - 1);
    const shown = async (): Promise<readonly string[]> => (await coordinator.history(null, 99)).map(({ claim }) => claim);
    expect([await shown(), await coordinator.history("ci/1", 9)]).toEqual([claims.slice(0, 5), []]);
    claims.unshift(await end(coordinator, "last"));
    expect(await shown()).toEqual(claims.slice(0, 5));
    await coordinator.close();
    expect(rowsOf(path, null)).toBe(5);
  });

  test("forgets what is too old: readers at once, and the table with a later record", async () => {
    const path = await freshPath();
    const [coordinator, patient] = [await openFor(path, { historyForMs: 1 }), await openFor(path, { historyForMs: 3_600_000 })];
    for (let index = 1; index < LOOK_EVERY; index += 1) await end(patient, `ci/${index}`);
    meddle(path, (db) => db.prepare("UPDATE history SET record = '{garbage' WHERE sequence = 7").run());
    await until(async () => (await coordinator.history(null, 99)).length === 0, "all records to be too old");
    expect(await patient.history(null, 99)).toHaveLength(LOOK_EVERY - 2);
    await end(coordinator, "last");
    await coordinator.close();
    expect(rowsOf(path, null) - rowsOf(path, "last")).toBe(0);
  });

  test("is read as it was written before there were leases", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    const owner = ownerAt("web-01");
    const ended = { claim: freshId(), event: "released", by: "deploy@web-01", reason: "done", claimedAt: 1, endedAt: 2 };
    const record = { v: 1, owner, key: null, slots: 1, made: null, expiresAt: null, reason: "why", data: 7, failure: null };
    const text = JSON.stringify({ ...ended, record: JSON.stringify(record) });
    meddle(path, (db) => db.prepare("INSERT INTO history (lock, record) VALUES (?, ?)").run("a", text));
    expect(await coordinator.history("a", 10)).toEqual([
      { ...ended, lock: "a", owner, isKept: false, failure: null, description: "why", lease: null, data: 7 },
    ]);
  });
});
