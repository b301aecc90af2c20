// Conformance: what moving everything from one store to another needs of both.
import { describe, expect, test } from "vitest";
import { type HistoryRecord, noticeOf } from "../locks/history.js";
import { contentsOf, fillRoot } from "./roots.js";
import { copyRoot } from "../moving/copy.js";
import { openEngine } from "../queue/engine.js";
import { createMemoryStore } from "../stores/memory/index.js";
import { MemoryServer } from "../stores/memory/server.js";
import type { Coordinator } from "../locks/coordinator.js";
import { draftFor, leaseOn, ownerAt, RELEASED, takeDurably, TEST_OPTIONS, TEST_TIMERS } from "./drafts.js";
import type { Stage } from "./stage.js";

const RECORD: HistoryRecord = {
  ...{ lock: "restart/nginx", claim: "0e4f0f5c-6a52-4b6e-9d57-1c1f0a6d3c11", owner: ownerAt("web-01"), event: "failed" },
  ...{ by: "ann@desk", reason: "because ☃", claimedAt: 1_600_000_000_000, endedAt: 1_600_000_060_000, isKept: true },
  failure: { exitCode: 3, signal: null, message: "exit code 3", output: "räck 1 %\n", at: 1_600_000_060_000 },
  ...{ description: "OPS-1", lease: null, data: { deep: [1, { x: "ü" }] } },
};

const LEASED: HistoryRecord = {
  ...RECORD,
  ...{ lock: "hosts/a", event: "expired", by: null, reason: null, isKept: false, failure: null, description: null, data: null },
  ...{ lease: leaseOn(["hosts/a", "hosts/b"]), claimedAt: 1_600_000_000_001, endedAt: 1_600_000_060_001 },
};

export function describeMoving(stage: Stage): void {
  describe("moving", () => {
    test("another store's history is recorded with a document, and reads as it read there", async () => {
      const coordinator = await stage.open();
      expect(await coordinator.writeDocument("freezes", "1", 0, undefined, [RECORD, LEASED].map(noticeOf))).toBe("done");
      expect(await coordinator.history(null, 10)).toEqual([LEASED, RECORD]);
      expect(await coordinator.history("restart/nginx", 10)).toEqual([RECORD]);
    });

    test("joining tells a number: earlier fencing tokens are not above it, and later ones are", async () => {
      const [holder, mover] = [await stage.open(), await stage.open()];
      const first = await takeDurably(holder, "a");
      const { settled } = await takeDurably(holder, ["b", "c"]);
      await holder.leave(first.draft.id, first.settled.entries, RELEASED);
      const { session, positions } = await mover.join(draftFor("another", { settles: false }));
      const seen = session.latestRevision();
      expect(seen).toBeGreaterThanOrEqual(Math.max(first.settled.fencingToken, settled.fencingToken));
      const later = await takeDurably(holder, "d");
      expect(later.settled.fencingToken).toBeGreaterThan(seen);
      await mover.withdraw(positions);
    });

    test("everything can be taken from it to another store, and from another store to it", async () => {
      const openHere = openMemory();
      await fillRoot(openHere);
      const [source, target] = [await openHere(), await stage.open()];
      const before = await contentsOf(source);
      await copy(source, target);
      expect(await contentsOf(target)).toEqual(before);
      // So that what has arrived has no agent here.
      await target.close();
      const [onward, third] = [await stage.open(), await openMemory()()];
      await copy(onward, third);
      expect(await contentsOf(third)).toEqual(before);
      await Promise.all([source, third].map((coordinator) => coordinator.close()));
    });
  });
}

function copy(from: Coordinator, to: Coordinator): Promise<unknown> {
  const [source, target] = [from, to].map((coordinator, index) => ({ name: `store://${index}`, coordinator }));
  if (source === undefined || target === undefined) throw new Error("a copy has two ends");
  return copyRoot({ from: source, to: target, owner: ownerAt("desk"), log: TEST_OPTIONS.log });
}

function openMemory(): () => Promise<Coordinator> {
  const server = new MemoryServer({ now: Date.now, after: (ms, run) => TEST_TIMERS.after(ms, run), putsAway: true });
  return () => openEngine(createMemoryStore(server), { ...TEST_OPTIONS, timers: TEST_TIMERS });
}
