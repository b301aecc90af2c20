// Conformance: finding a claim by nothing but its id, wherever it stands.
import { describe, expect, test } from "vitest";
import { randomUUID } from "node:crypto";
import { claimIn, draftFor, RELEASED, takeDurably } from "./drafts.js";
import type { Stage } from "./stage.js";

export function describeFinding(stage: Stage): void {
  describe("finding a claim by its id", () => {
    test("gives nothing for one that is not there, and for what is no id", async () => {
      const coordinator = await stage.open();
      expect(await coordinator.find(randomUUID())).toEqual([]);
      await takeDurably(coordinator, ["a", "b/c"]);
      for (const id of [randomUUID(), "", "-", "%", "lock", "../a", "a/b", "\u0000", "'; DROP TABLE claims; --"]) {
        expect(await coordinator.find(id), JSON.stringify(id)).toEqual([]);
      }
    });

    test("gives all its entries as the queues show them, sorted by lock", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const locks = ["b", "ä/ö ☃", "a/b", "a", "B", "a/b/c"];
      await one.join(draftFor(["a", "b"]));
      const { draft } = await takeDurably(one, locks, { reason: "why", data: { ticket: 7 } });
      await other.join(draftFor(["a", "b"]));
      const found = await other.find(draft.id);
      expect(found.map(({ lock }) => lock)).toEqual([...locks].sort());
      for (const claim of found) {
        expect((await other.queue(claim.lock)).filter(({ id }) => id === draft.id)).toEqual([claim]);
        expect(claim).toMatchObject({ id: draft.id, durable: true, alive: true, reason: "why", data: { ticket: 7 } });
      }
      expect(await other.leave(draft.id, found, RELEASED)).toBe("done");
      expect(await one.find(draft.id)).toEqual([]);
    });

    test("gives one that waits, in the queues that it waits in", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      await takeDurably(one, "a");
      const draft = draftFor(["c", "a"]);
      const joined = await one.join(draft);
      const found = await other.find(draft.id);
      expect(found.map(({ lock, ref, durable }) => ({ lock, ref, durable }))).toEqual([
        { lock: "a", ref: joined.positions[1]?.ref, durable: false },
        { lock: "c", ref: joined.positions[0]?.ref, durable: false },
      ]);
      await one.close();
      expect(await other.find(draft.id)).toEqual([]);
    });

    test("gives one whose owner is gone, and says so", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft } = await takeDurably(one, ["a", "b"]);
      await one.close();
      expect((await other.find(draft.id)).map(({ lock, alive }) => ({ lock, alive }))).toEqual([
        { lock: "a", alive: false },
        { lock: "b", alive: false },
      ]);
    });

    test("gives what nobody can read as the queue does", async () => {
      const coordinator = await stage.open();
      await stage.store.plantGarbageClaim("a");
      const garbage = await claimIn(coordinator, "a");
      expect(await coordinator.find(garbage.id)).toEqual([garbage]);
    });

    test("finds it among many", async () => {
      const coordinator = await stage.open();
      const locks = Array.from({ length: 700 }, (_, index) => `deep/${index % 7}/lock ${index}`);
      const most = Math.min(70, coordinator.traits.maxLocks);
      for (let from = 0; from < locks.length; from += most) await coordinator.join(draftFor(locks.slice(from, from + most)));
      const { draft } = await takeDurably(coordinator, ["deep/3/lock 3", "deep/new"], { slots: 2 });
      expect((await coordinator.find(draft.id)).map(({ lock }) => lock)).toEqual(["deep/3/lock 3", "deep/new"]);
    });
  });
}
