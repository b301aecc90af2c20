// Names and durations: what is accepted, and what is refused. That nothing else ever comes of them is said in test/doors/.
import { describe, expect, test } from "vitest";
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
    ["a\0b", "NUL"],
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
    ["2 weeks", 1_209_600_000],
    ["1w", 604_800_000],
    ["5 mins", 300_000],
    ["90 secs", 90_000],
    ["1 hr", 3_600_000],
    ["2 hrs", 7_200_000],
    ["1h30m", 5_400_000],
    ["1 h 30 min 15 s", 5_415_000],
    ["1.5h 250ms", 5_400_250],
    ["2 h 5 min", 7_500_000],
  ])("%j is %d ms", (value, ms) => {
    expect(parseDurationMs(value)).toBe(ms);
  });

  test("takes every prefix of a unit's name", () => {
    for (const [name, ms] of [
      ["seconds", 1_000],
      ["minutes", 60_000],
      ["hours", 3_600_000],
      ["days", 86_400_000],
      ["weeks", 604_800_000],
    ] as const) {
      for (let length = 1; length <= name.length; length += 1) {
        expect(parseDurationMs(`4 ${name.slice(0, length)}`), name.slice(0, length)).toBe(4 * ms);
        expect(parseDurationMs(`4${name.slice(0, length).toUpperCase()}`)).toBe(4 * ms);
      }
      expect(parseDurationMs(`4 ${name}s`)).toBeNull();
      expect(parseDurationMs(`4 ${name.slice(1)}`)).toBeNull();
    }
  });

  test.each([
    -1,
    "-1 s",
    "1 fortnight",
    "s",
    "",
    "1 s 2",
    "1e3 s",
    "1h30",
    "30m1h",
    "1h 1h",
    "1h30mx",
    NaN,
    Infinity,
    "200 years",
    null,
    undefined,
    {},
    [],
    true,
  ])("%j is none", (value) => {
    expect(parseDurationMs(value)).toBeNull();
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
