import { describe, expect, test } from "vitest";
import { parseYaml } from "../../src/config/document.js";
import { createProblems } from "../../src/config/problems.js";

function parse(text: string) {
  const problems = createProblems();
  return { ...parseYaml(text, "file", problems), problems: problems.lines };
}

describe("a document", () => {
  test("knows where its values stand and how they were written", () => {
    const { value, origin } = parse("a: 1\nb:\n  - x\n  - c: 1.10\nd: &anchor { e: 0x10 }\nf: *anchor\n");
    expect((value as Map<string, unknown>).get("a")).toBe(1);
    expect(origin.lineOf(["a"])).toBe(1);
    expect(origin.lineOf(["b", "1", "c"])).toBe(4);
    expect(origin.lineOf(["b", "1", "c", "not", "there"])).toBe(4);
    expect(origin.lineOf(["f", "e"])).toBe(5);
    expect(origin.lineOf([])).toBeNull();
    expect(origin.writtenAt(["b", "1", "c"])).toBe("1.10");
    expect(origin.writtenAt(["f", "e"])).toBe("0x10");
    expect(origin.writtenAt(["b"])).toBeNull();
    expect(origin.writtenAt(["nowhere"])).toBeNull();
  });

  test("has only the core schema's values", () => {
    const { value } = parse("a: yes\nb: 2001-01-01\nc: ~\nd: 1_000\n");
    expect([...(value as Map<string, unknown>).values()]).toEqual(["yes", "2001-01-01", null, "1_000"]);
  });
});

describe("a document is refused", () => {
  test.each([
    ["a tag of someone's own", "a: !!js/function 'x'", /^file:1: is not proper YAML: Unresolved tag/],
    ["a tag of another schema", "a: !!binary aGk=", /Unresolved tag/],
    ["a duplicate key", "a: 1\na: 2", /^file:2: .*Map keys must be unique/],
    ["a second document", "a: 1\n---\nb: 2", /^file:2: .*it has a second document/],
    ["a key that is no text", "? [a]\n: 1", /all keys must be strings/],
    ["an alias without an anchor", "a: *b", /Unresolved alias/],
    ["tabs", "a:\n\tb: 1", /Tabs/],
    ["an older version", "%YAML 1.1\n---\na: yes", /is YAML 1.1; only version 1.2 is read/],
  ])("%s", (_, text, words) => {
    const { value, problems } = parse(text);
    expect(value).toBeUndefined();
    expect(problems.join("\n")).toMatch(words);
  });

  test("aliases that multiply", () => {
    const levels = "abcdefghij".split("").map(
      (name, index, all) =>
        `${name}: &${name} [${
          index === 0
            ? "x,x"
            : Array(9)
                .fill(`*${all[index - 1]}`)
                .join(",")
        }]`,
    );
    expect(parse(levels.join("\n")).problems.join()).toContain("Excessive alias count");
  });

  test.each([
    ["[".repeat(200_000)],
    ["{a: ".repeat(50_000)],
    ["- ".repeat(5_000)],
    ["? ".repeat(5_000)],
    [Array.from({ length: 500 }, (_, level) => `${" ".repeat(level)}a:`).join("\n")],
  ])("nesting without end: %.9s", (text) => {
    expect(parse(text).problems.join()).toMatch(/^file:\d+: is nested more than 100 levels deep/);
  });

  test("nesting that people write is none of it", () => {
    expect(parse("[".repeat(90) + "]".repeat(90)).problems).toEqual([]);
  });

  test("and its message quotes no line of it", () => {
    expect(parse("password: s3cret\n b: [").problems.join()).not.toContain("s3cret");
  });
});
