import { describe, expect, test } from "vitest";
import type { DataChange } from "../../src/leases/data.js";
import { applyChanges, isForbiddenKey, parseDataPath } from "../../src/leases/data.js";
import { LARGEST_DATA_BYTES } from "../../src/locks/data.js";
import { HoldlineError } from "../../src/locks/errors.js";

const set = (path: string, value: unknown): DataChange => ({ kind: "set", path: path.split("."), value });
const merge = (value: unknown): DataChange => ({ kind: "merge", value });
const replace = (value: unknown): DataChange => ({ kind: "replace", value });

/** What is said, and what would be right. */
function refusal(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    if (error instanceof HoldlineError && error.code === "usage") return `${error.message} | ${error.hint ?? ""}`;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("a change of data", () => {
  test.each<[string, unknown, readonly DataChange[], unknown]>([
    ["sets a key", { a: 1 }, [set("b", "READY")], { a: 1, b: "READY" }],
    ["sets a key anew, in its place", { a: 1, b: 2 }, [set("a", [3])], { a: [3], b: 2 }],
    ["sets a key below others that are not there yet", null, [set("deploy.at.rack", 12)], { deploy: { at: { rack: 12 } } }],
    ["sets a key in a map that is there", { deploy: { by: "ann" } }, [set("deploy.to", "b")], { deploy: { by: "ann", to: "b" } }],
    ["sets a key where there was nothing", { a: null }, [set("a.b", 1)], { a: { b: 1 } }],
    [
      "merges map by map",
      { a: { x: 1, y: 2 }, b: 1 },
      [merge({ a: { y: 3, z: 4 }, c: 5 })],
      { a: { x: 1, y: 3, z: 4 }, b: 1, c: 5 },
    ],
    ["merges anything else as it is", { a: [1, 2], b: { x: 1 } }, [merge({ a: [3], b: null })], { a: [3], b: null }],
    ["merges into nothing", null, [merge({ a: 1 })], { a: 1 }],
    ["replaces everything", { a: 1 }, [replace([1, 2])], [1, 2]],
    ["is made in order", { a: 1 }, [replace({ b: 1 }), merge({ c: { d: 1 } }), set("c.e", 2)], { b: 1, c: { d: 1, e: 2 } }],
    ["keeps nothing that was not asked for", { a: 1 }, [], { a: 1 }],
  ])("%s", (_what, data, changes, expected) => {
    const before = JSON.stringify(data);
    const after = applyChanges(data, changes);
    expect(JSON.stringify(after)).toBe(JSON.stringify(expected));
    expect(JSON.stringify(data), "the old data is not touched").toBe(before);
  });

  test.each([
    ["a text", { a: "x" }, "a.b cannot be set: a is no map | --replace sets all of the data"],
    ["a list", { a: [1] }, "a.b cannot be set: a is no map"],
    ["other data altogether", 5, "a.b cannot be set: the data is no map"],
  ])("is refused below %s", (_what, data, words) => {
    expect(refusal(() => applyChanges(data, [set("a.b", 1)]))).toContain(words);
  });

  test("is refused when the outcome is too large, however it grew", () => {
    const half = "x".repeat(LARGEST_DATA_BYTES / 2);
    expect(applyChanges({ a: half }, [set("b", "y")])).toEqual({ a: half, b: "y" });
    for (const change of [set("b", half), merge({ b: half }), replace({ a: half, b: half })]) {
      expect(refusal(() => applyChanges({ a: half }, [change]))).toContain("the data has more than 65536 bytes as JSON");
    }
    expect(
      refusal(() => applyChanges(null, [replace("ü".repeat(40_000))])),
      "bytes, not characters",
    ).toContain("has more than 65536 bytes");
  });

  test("never reaches a prototype, even when others have written such keys", () => {
    const planted = JSON.parse('{"__proto__": {"polluted": 1}, "a": {}}') as unknown;
    const merged = applyChanges(planted, [merge(JSON.parse('{"__proto__": {"more": 1}}')), set("a.toString", 1)]);
    expect(JSON.stringify(merged)).toBe('{"__proto__":{"polluted":1,"more":1},"a":{"toString":1}}');
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe("a path of keys", () => {
  test.each([
    ["status", ["status"]],
    ["deploy.version", ["deploy", "version"]],
    ["größe.in km", ["größe", "in km"]],
    ["0", ["0"]],
  ])("%s", (text, path) => expect(parseDataPath(text)).toEqual(path));

  test.each(["", ".", "a.", ".a", "a..b", "__proto__", "a.__proto__.b", "constructor.prototype", "a.b.".repeat(60) + "c"])(
    "%j is none",
    (text) => expect(refusal(() => parseDataPath(text))).toContain("names no key of the data | right would be such as status"),
  );

  test("has no key that reaches a prototype", () => {
    expect(["__proto__", "constructor", "prototype"].map(isForbiddenKey)).toEqual([true, true, true]);
    expect(["proto", "toString", ""].map(isForbiddenKey)).toEqual([false, false, false]);
  });
});
