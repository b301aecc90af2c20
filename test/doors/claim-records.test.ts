// Records of claims and of the history, which anyone may have written who can write to the store, and the data that
// callers want shown with a claim.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { plainData } from "../../src/locks/data.js";
import type { ClaimRecord } from "../../src/locks/claim.js";
import { decodeRecord, encodeRecord } from "../../src/locks/claim.js";
import { recordAsJson } from "../../src/views/json.js";
import { decodeEnded, encodeEnded } from "../../src/coordinators/zookeeper/records.js";
import { CASES, bottomless, mangled, misshapen, nastyText, nastyValue } from "./junk.js";
import { recordText, records, someRecord } from "./records.js";
import { expectClear, expectShare, failOnPollution, open } from "./verdict.js";

failOnPollution();

const texts = fc.oneof(
  { weight: 4, arbitrary: misshapen(recordText) },
  { weight: 3, arbitrary: mangled(recordText) },
  nastyText,
  nastyValue.map((value) => JSON.stringify(value)),
);

describe("a claim's record", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(records, (written) => {
        expect(decodeRecord(encodeRecord(written))).toEqual(written);
      }),
      { numRuns: CASES },
    );
  });

  test("of a time before there were leases is read as the claim of a process", () => {
    fc.assert(
      fc.property(records, (written) => {
        const { lease, ...older } = JSON.parse(encodeRecord(written)) as Record<string, unknown>;
        expect(lease).toEqual(written.lease);
        expect(decodeRecord(JSON.stringify(older))).toEqual({ ...written, lease: null });
      }),
      { numRuns: CASES },
    );
  });

  test("is a record or none, whatever is there; and a record can be written again", () => {
    let read = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const decoded = open(() => decodeRecord(text), []);
        if (!("value" in decoded) || decoded.value === null) return;
        read += 1;
        const { owner, slots, key, reason, made, failure, expiresAt } = decoded.value;
        expect([owner.node, owner.principal].map((word) => typeof word)).toEqual(["string", "string"]);
        expect(slots).toBeGreaterThanOrEqual(1);
        for (const word of [key, reason, owner.action]) expect(word === null || typeof word === "string").toBe(true);
        for (const number of [expiresAt, made?.wallMs, failure?.at]) expect(number == null || Number.isFinite(number)).toBe(true);
        const again = encodeRecord(decoded.value);
        expect(encodeRecord(decodeRecord(again) as ClaimRecord)).toBe(again);
      }),
      { numRuns: CASES },
    );
    expectShare(read, 1 / 20, "records that are read");
  });

  // Generated input has found these once: JSON has numbers that JavaScript takes for infinity, and data that nobody can write again.
  test.each([
    ["made at no time", encodeRecord({ ...someRecord, made: { bootId: null, ticks: null, wallMs: 424_242 } })],
    [
      "failed at no time",
      encodeRecord({ ...someRecord, failure: { exitCode: 1, signal: null, message: "", output: "", at: 424_242 } }),
    ],
    ["over at no time", encodeRecord({ ...someRecord, expiresAt: 424_242 })],
  ])("that is %s is none", (_, text) => {
    expect(decodeRecord(text)).not.toBeNull();
    expect(open(() => decodeRecord(text.replace("424242", "1e999")), [])).toEqual({ value: null });
  });

  test("with data deeper than any that are written is none", () => {
    expect(open(() => decodeRecord(bottomless(encodeRecord({ ...someRecord, data: "HERE" }), 200)), [])).toEqual({ value: null });
  });

  test("without a bottom is none", () => {
    const text = encodeRecord({ ...someRecord, data: "HERE" });
    expect(decodeRecord(text)).not.toBeNull();
    expect(open(() => decodeRecord(bottomless(text)), [])).toEqual({ value: null });
    const ended = `{"claim":"c","event":"released","by":"b","reason":null,"claimedAt":1,"record":${bottomless(text)}}`;
    expect(open(() => decodeEnded(ended, "a", 1), [])).toEqual({ value: null });
  });
});

test("a record of the history is one that can be shown, or none", () => {
  const right = fc
    .tuple(records, fc.constantFrom("released", "cleared", "expired", "recovered", "failed"), fc.string(), fc.nat())
    .map(([record, event, by, claimedAt]) =>
      encodeEnded({ claim: "c", event, by, reason: null, claimedAt, record, isKept: false }).toString(),
    );
  fc.assert(
    fc.property(fc.oneof(misshapen(right), mangled(right), nastyText), fc.nat(), (text, endedAt) => {
      const read = open(() => decodeEnded(text, "a", endedAt), []);
      if ("value" in read && read.value !== null) expect(JSON.stringify(recordAsJson(read.value))).toContain('"event"');
    }),
    { numRuns: CASES },
  );
});

describe("a caller's data", () => {
  const anything = fc.oneof(
    nastyValue,
    fc.anything({ withMap: true, withNullPrototype: true, withBigInt: true, withDate: true, withBoxedValues: true }),
  );

  test("goes into a record and comes out of it, or is refused in clear words", () => {
    fc.assert(
      fc.property(anything, (value) => {
        const plain = open(() => plainData(value), []);
        if (!("value" in plain)) return;
        if ("problem" in plain.value) {
          expectClear(plain.value.problem);
          return;
        }
        const { data } = plain.value;
        const text = encodeRecord({ ...someRecord, data });
        expect(decodeRecord(text)?.data).toEqual(JSON.parse(JSON.stringify(data) ?? "null"));
      }),
      { numRuns: CASES },
    );
  });

  test("is never followed without end", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle, cycle, cycle);
    const map = new Map<string, unknown>();
    map.set("a", map);
    // Sixty levels that stand for 2^60 texts.
    const bomb = Array.from({ length: 60 }).reduce<unknown>((inner) => [inner, inner], "x".repeat(1_000));
    const deep = Array.from({ length: 50_000 }).reduce<unknown>((inner) => ({ inner }), null);
    const unwilling = {
      toJSON: () => {
        throw new Error("no");
      },
    };
    const trap = {
      get now(): never {
        throw new Error("no");
      },
    };
    for (const value of [cycle, map, bomb, deep, unwilling, trap, 1n, () => 1, Symbol("s"), "x".repeat(70_000), new Array(1e9)])
      expect(open(() => plainData(value), [])).toHaveProperty("value.problem");
  });
});
