import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isoTime } from "../../src/locks/durations.js";
import { ago, lastLineOf, renderColumns, sanitize, truncate, widthOf } from "../../src/cli/render.js";

describe("text of others", () => {
  test.each([
    ["a\x1b[2Jb", "a\\x1b[2Jb"],
    ["a\nb\tc\r", "a\\nb\\tc\\r"],
    ["a\u202eb\u2066c", "a\\u202eb\\u2066c"],
    ["\x9b31m", "\\x9b31m"],
    ["\ud800x", "\ufffdx"],
    ["日本 é 👩‍👩‍👧", "日本 é 👩‍👩‍👧"],
  ])("%j is made harmless", (text, shown) => expect(sanitize(text)).toBe(shown));

  test("has no control characters afterwards, whatever it was", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !/[\p{Cc}\u202a-\u202e]/u.test(sanitize(text))));
  });
});

test.each([
  ["abc", 3],
  ["日本", 4],
  ["e\u0301", 1],
  ["👩‍👩‍👧", 2],
  ["ｆ", 2],
  ["한국어", 6],
  ["", 0],
])("%s takes %i columns", (text, width) => expect(widthOf(text)).toBe(width));

test("a cut text is never wider than it may be, and says that it was cut", () => {
  expect(truncate("abcdef", 4)).toBe("abc…");
  expect(truncate("abcd", 4)).toBe("abcd");
  expect(truncate("日本語", 4)).toBe("日…");
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme" }),
      fc.nat(20),
      (text, columns) => widthOf(truncate(sanitize(text), columns)) <= columns,
    ),
  );
});

describe("columns", () => {
  test("line up, also where characters are wide", () => {
    expect(
      renderColumns([
        ["LOCK", "NODE", "STATE"],
        ["再起動", "web-1", "a very long last cell"],
        ["x", "web-100", ""],
      ]),
    ).toEqual(["LOCK    NODE     STATE", "再起動  web-1    a very long last cell", "x       web-100"]);
  });

  test("line up, also where cells are coloured", () => {
    const red = (text: string) => `\x1b[31m${text}\x1b[0m`;
    expect(
      renderColumns([
        [{ text: "ab", paint: red }, "x"],
        ["abcd", "y"],
      ]),
    ).toEqual(["\x1b[31mab\x1b[0m    x", "abcd  y"]);
  });

  test("no cell breaks its line", () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 4 })), (rows) => {
        const lines = renderColumns(rows);
        return lines.length === rows.length && lines.every((line) => !line.includes("\n"));
      }),
    );
  });
});

test("ages", () => {
  expect([0, 999, 12_000, 720_000, 7_500_000].map((age) => ago(1_000_000_000_000 - age, 1_000_000_000_000))).toEqual([
    "just now",
    "just now",
    "12 s ago",
    "12 min ago",
    "2 h 5 min ago",
  ]);
  expect(ago(2_000, 1_000)).toBe("just now");
});

test("times are ISO 8601 in UTC, and never an exception", () => {
  expect(isoTime(Date.UTC(2025, 10, 21))).toBe("2025-11-21T00:00:00.000Z");
  expect(isoTime(Number.MAX_VALUE)).toBe("1970-01-01T00:00:00.000Z");
});

test("the last line that says something", () => {
  expect(lastLineOf("a\r\nb  \n\n  \n")).toBe("b");
  expect(lastLineOf("")).toBe("");
});
