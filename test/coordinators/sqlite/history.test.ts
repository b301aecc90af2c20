// The history in its table: kept short behind the releases, which do not wait for it, and read as earlier versions wrote it.
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../../support/leaks.js";
import { freshId } from "../../support/roots.js";
import { until } from "../../support/wait.js";
import { ownerAt, RELEASED, takeDurably } from "../conformance/store.js";
import { freshPath, meddle, openFor } from "./store.js";

failOnLeaks();

function rowsOf(path: string, lock: string): number {
  const [row] = meddle(path, (db) => db.prepare("SELECT count(*) AS count FROM history WHERE lock = ?").all(lock)) as {
    count: number;
  }[];
  return row?.count as number;
}

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
