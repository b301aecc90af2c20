// What several answers say together of a member's clock.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Ahead, combined } from "../../../../src/stores/etcd/wire/clock.js";

/** What a member whose clock is `ahead` says, asked at `sentAt`, when the answer takes `wayMs` each way. */
function answered(ahead: number, sentAt: number, wayMs: number): Ahead {
  const date = Math.floor((ahead + sentAt + wayMs) / 1_000) * 1_000;
  const answeredAt = sentAt + 2 * wayMs;
  return { least: date - answeredAt, most: date + 1_000 - sentAt, measuredAt: answeredAt };
}

test("together they are right, and no worse than the latest", () => {
  const asked = fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 20_000 }), wayMs: fc.integer({ min: 0, max: 300 }) }), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1e12, max: 2e12 }), asked, (ahead, measures) => {
      let known: Ahead | null = null;
      let now = 0;
      for (const { afterMs, wayMs } of measures) {
        now += afterMs;
        const latest = answered(ahead, now, wayMs);
        now = latest.measuredAt;
        known = combined(known, latest);
        expect(known.least).toBeLessThanOrEqual(ahead);
        expect(known.most).toBeGreaterThanOrEqual(ahead);
        expect(known.most - known.least).toBeLessThanOrEqual(latest.most - latest.least);
      }
    }),
  );
});

test("a clock that was set is believed at once", () => {
  const before = answered(1_700_000_000_000, 0, 1);
  const set = answered(1_600_000_000_000, 5_000, 1);
  expect(combined(before, set)).toEqual(set);
});
