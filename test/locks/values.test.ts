// Names, durations and records: what is accepted, what is refused, and that no input whatever makes a parser fail otherwise.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ClaimRecord } from "../../src/locks/claim.js";
import { decodeRecord, encodeRecord, LEASE_TYPES } from "../../src/locks/claim.js";
import { formatDuration, parseDurationMs } from "../../src/locks/durations.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { lockNameProblem, parseLockName } from "../../src/locks/names.js";

describe("a lock's name", () => {
  test.each(["a", "restart/nginx", "ä/ö ü", "x".repeat(255), "%2F", "a.b", "..a", "host/dc01"])("may be %j", (name) => {
    expect(parseLockName(name)).toBe(name);
  });

  test.each([
    ["", "empty"],
    ["x".repeat(300), "300 bytes"],
    ["ä".repeat(128), "256 bytes"],
    ["a/../b", ".."],
    ["..", ".."],
    ["./a", "."],
    ["/a", "begin or end"],
    ["a/", "begin or end"],
    ["a//b", "in a row"],
    ["\ud800", "well-formed"],
    [42, "text"],
  ])("may not be %j", (name, why) => {
    expect(() => parseLockName(name)).toThrow(HoldlineError);
    expect(lockNameProblem(name)).toContain(why);
  });
});

describe("a duration", () => {
  test.each([
    [0, 0],
    [1.5, 1_500],
    ["30", 30_000],
    ["30 s", 30_000],
    ["250ms", 250],
    ["0.25 s", 250],
    ["10 min", 600_000],
    ["1 Hour", 3_600_000],
    ["1 day", 86_400_000],
    ["2 days", 172_800_000],
  ])("%j is %d ms", (value, ms) => {
    expect(parseDurationMs(value)).toBe(ms);
  });

  test("takes every prefix of a unit's name", () => {
    for (const [name, ms] of [
      ["seconds", 1_000],
      ["minutes", 60_000],
      ["hours", 3_600_000],
      ["days", 86_400_000],
    ] as const) {
      for (let length = 1; length <= name.length; length += 1) {
        expect(parseDurationMs(`4 ${name.slice(0, length)}`), name.slice(0, length)).toBe(4 * ms);
        expect(parseDurationMs(`4${name.slice(0, length).toUpperCase()}`)).toBe(4 * ms);
      }
      expect(parseDurationMs(`4 ${name}s`)).toBeNull();
      expect(parseDurationMs(`4 ${name.slice(1)}`)).toBeNull();
    }
  });

  test.each([-1, "-1 s", "1 fortnight", "s", "", "1 s 2", "1e3 s", NaN, Infinity, "200 years", null, undefined, {}, [], true])(
    "%j is none",
    (value) => {
      expect(parseDurationMs(value)).toBeNull();
    },
  );

  test("is a number or null, whatever is given", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const ms = parseDurationMs(value);
        expect(ms === null || (Number.isFinite(ms) && ms >= 0)).toBe(true);
      }),
      { numRuns: 10_000 },
    );
  });

  test.each([
    [250, "0.25 s"],
    [1_200, "1.2 s"],
    [12_000, "12 s"],
    [200_000, "3 min 20 s"],
    [7_500_000, "2 h 5 min"],
    [100 * 3_600_000, "4 d 4 h"],
  ])("of %d ms is told as %s", (ms, words) => {
    expect(formatDuration(ms)).toBe(words);
  });
});

describe("a claim's record", () => {
  const identity = fc.record({
    bootId: fc.option(fc.uuid(), { nil: null }),
    pidNamespace: fc.option(fc.string(), { nil: null }),
    pid: fc.integer({ min: 1, max: 4_194_304 }),
    startTicks: fc.option(fc.nat(), { nil: null }),
  });
  const record: fc.Arbitrary<ClaimRecord> = fc.record({
    owner: fc.record({
      node: fc.string(),
      principal: fc.string(),
      action: fc.option(fc.string(), { nil: null }),
      process: fc.option(identity, { nil: null }),
    }),
    key: fc.option(fc.string(), { nil: null }),
    slots: fc.oneof(fc.integer({ min: 1 }), fc.constant(Number.POSITIVE_INFINITY)),
    made: fc.option(
      fc.record({ bootId: fc.option(fc.uuid(), { nil: null }), ticks: fc.option(fc.nat(), { nil: null }), wallMs: fc.nat() }),
      { nil: null },
    ),
    lease: fc.option(
      fc.record({
        type: fc.constantFrom(...LEASE_TYPES),
        caller: fc.option(fc.string(), { nil: null }),
        path: fc.option(fc.string(), { nil: null }),
        locks: fc.array(fc.constantFrom("db", "host/dc01", "host/hv 02")),
      }),
      { nil: null },
    ),
    expiresAt: fc.option(fc.nat(), { nil: null }),
    reason: fc.option(fc.string(), { nil: null }),
    data: fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown),
    failure: fc.option(
      fc.record({
        exitCode: fc.option(fc.nat(255), { nil: null }),
        signal: fc.option(fc.string(), { nil: null }),
        message: fc.string(),
        output: fc.string(),
        at: fc.nat(),
      }),
      { nil: null },
    ),
  });

  test("is read as it was written", () => {
    fc.assert(
      fc.property(record, (written) => {
        expect(decodeRecord(encodeRecord(written))).toEqual(written);
      }),
      { numRuns: 2_000 },
    );
  });

  test("of a time before there were leases is read as the claim of a process", () => {
    fc.assert(
      fc.property(record, (written) => {
        const { lease, ...older } = JSON.parse(encodeRecord(written)) as Record<string, unknown>;
        expect(decodeRecord(JSON.stringify(older))).toEqual({ ...written, lease: null });
        expect(lease).toEqual(written.lease);
      }),
      { numRuns: 200 },
    );
  });

  test("is a record or null, whatever bytes are there", () => {
    const damaged = record.chain((written) => {
      const text = encodeRecord(written);
      return fc
        .tuple(fc.nat(text.length), fc.string({ maxLength: 4 }))
        .map(([at, junk]) => text.slice(0, at) + junk + text.slice(at + 1));
    });
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), damaged), (text) => {
        const read = decodeRecord(text);
        if (read === null) return;
        expect(typeof read.owner.node).toBe("string");
        expect(read.slots).toBeGreaterThanOrEqual(1);
        expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
      }),
      { numRuns: 10_000 },
    );
  });
});
