// Conformance: what moving everything from one store to another needs of both.
import { describe, expect, test } from "vitest";
import { type HistoryRecord, noticeOf } from "../locks/history.js";
import { draftFor, leaseOn, ownerAt, RELEASED, takeDurably } from "./drafts.js";
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

    test("whoever joins has seen a number that no fencing token given out before is above, and all later ones are", async () => {
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
  });
}
