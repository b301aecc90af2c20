// Durations, from configurations, variables and flags.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createField, readDurationMs, readDurationOrNoneMs } from "../../src/config/field.js";
import { createProblems, plainOrigin } from "../../src/config/problems.js";
import { formatDuration, parseDurationMs } from "../../src/locks/durations.js";
import { CASES, mangled, nastyText, nastyValue } from "./junk.js";
import { expectClear, failOnPollution, open } from "./verdict.js";

failOnPollution();

const A_HUNDRED_YEARS_MS = 100 * 365 * 86_400_000;

const right = fc
  .tuple(
    fc.oneof(fc.nat().map(String), fc.double({ min: 0, max: 1e6, noNaN: true }).map(String), fc.constantFrom(".5", "0", "1.50")),
    fc.constantFrom("", " ", "  ", "\t"),
    fc.constantFrom("", "ms", "s", "sec", "Seconds", "m", "min", "MINUTES", "h", "hours", "d", "day"),
  )
  .map((parts) => parts.join(""));
const anything = fc.oneof({ weight: 3, arbitrary: mangled(right, 2) }, nastyText, nastyValue, fc.anything());

test("anything is a length of time that a person may mean, or none", () => {
  fc.assert(
    fc.property(anything, (value) => {
      const ms = parseDurationMs(value);
      if (ms === null) return;
      expect(Number.isFinite(ms) && ms >= 0 && ms <= A_HUNDRED_YEARS_MS).toBe(true);
      expect(formatDuration(ms)).toMatch(/^\d+(?:\.\d+)? (?:s|min|h|d)(?: \d+ (?:s|min|h))?$/);
    }),
    { numRuns: CASES },
  );
});

test("in a setting, one that is refused is refused in clear words, and one that is taken fits a timer", () => {
  fc.assert(
    fc.property(anything, fc.boolean(), (value, zero) => {
      const problems = createProblems();
      const field = createField(value, ["acquire", "timeout"], plainOrigin("file"), problems);
      const read = open(() => [readDurationMs(field, { zero }), readDurationOrNoneMs(field, { zero })], []);
      for (const ms of "value" in read ? read.value : []) {
        if (ms == null) continue;
        expect(ms < 2 ** 31 && (ms > 0 || zero)).toBe(true);
      }
      for (const line of problems.lines) expectClear(line);
    }),
    { numRuns: CASES },
  );
});

test("blanks without end are looked at once", () => {
  for (const text of [
    `1${" ".repeat(120_000)}!`,
    `${" ".repeat(120_000)}!`,
    `${"1".repeat(120_000)}!`,
    `1.${"1".repeat(120_000)}!`,
  ])
    expect(open(() => parseDurationMs(text), [])).toEqual({ value: null });
});
