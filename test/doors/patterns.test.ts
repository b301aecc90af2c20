// Regular expressions of configurations, and the process list that they are held against: one that would backtrack for
// ever elsewhere takes no time here, one that needs what RE2 has not is refused, and no process can stop the list.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EXIT_CODES, exitCodeOfError } from "../../src/cli/exit-codes.js";
import { parseStat, splitArguments } from "../../src/proc.js";
import { compilePattern } from "../../src/actions/processes.js";
import { load, surroundings } from "../config/loading.js";
import { loadSettings } from "../../src/config/load.js";
import { CASES, mangled, nastyText } from "./junk.js";
import { openPlace } from "./places.js";
import { failOnPollution, open, openLater } from "./verdict.js";

failOnPollution();

const CATASTROPHES = [
  "(a+)+$",
  "(a|aa)+$",
  "(a|a?)+$",
  "([a-zA-Z]+)*$",
  "(.*a){20}$",
  "(.*)*=x$",
  "^(([a-z])+.)+[A-Z]([a-z])+$",
  "(a*)*b",
  "a{0,1000}b",
  "(x+x+)+y",
];
const REFUSED = [
  "(a)\\1",
  "(?=a)b",
  "(?!a)b",
  "(?<=a)b",
  "(?<!a)b",
  "(?>a)",
  "a++",
  "\\p{Nonsense}",
  "a{1001}",
  "((a{100}){100}){100}",
  "[z-a]",
  "(",
  "*",
];
const right = fc.constantFrom(
  ...CATASTROPHES,
  "nginx: (master|worker)",
  "^/usr/s?bin/\\S+ -c [^ ]*$",
  "(?i)[[:alpha:]]\\d{2,3}\\pL(?P<n>x)?",
);
const patterns = fc.oneof(
  { weight: 4, arbitrary: mangled(right, 2) },
  { weight: 1, arbitrary: fc.constantFrom(...REFUSED) },
  nastyText,
);

const LIST = [
  "nginx: master process /usr/sbin/nginx -g daemon on;",
  "a".repeat(200),
  `${"a".repeat(100)}!`,
  "ä\u202e\x1b[2J",
  "",
  "\ud800",
];

test("any text is a pattern that answers for any process, or is refused in clear words", async () => {
  await fc.assert(
    fc.asyncProperty(patterns, nastyText, async (pattern, text) => {
      const compiled = await openLater(() => compilePattern(pattern), ["configuration"]);
      if (!("value" in compiled)) return;
      const { value: isSought } = compiled;
      for (const line of [...LIST, text]) expect(open(() => typeof isSought(line), [])).toEqual({ value: "boolean" });
    }),
    { numRuns: CASES },
  );
});

test("what the configuration accepts for a pattern can be sought", async () => {
  const around = surroundings();
  const config = join(openPlace(), "holdline.yaml");
  await fc.assert(
    fc.asyncProperty(patterns, async (pattern) => {
      writeFileSync(config, `actions: { a: { shell: x, process: { command_string: ${JSON.stringify(pattern)} } } }`);
      const read = await openLater(() => loadSettings({ config, flags: new Map(), surroundings: around }), ["configuration"]);
      const sought = await openLater(() => compilePattern(pattern), ["configuration"]);
      // The configuration refuses a little more, such as the empty pattern, which would match every process.
      if ("value" in read) expect(sought).toHaveProperty("value");
    }),
    { numRuns: Math.ceil(CASES / 10) },
  );
});

describe("a pattern that backtracks elsewhere", () => {
  // As on a large machine, whose processes have the longest command lines.
  const list = Array.from({ length: 2_000 }, (_, index) => `${"a".repeat(index % 10 === 0 ? 4_000 : 200)}${index}!`);
  test.each(CATASTROPHES)("%s is done with two thousand processes in time", async (pattern) => {
    const isSought = await compilePattern(pattern);
    expect(open(() => list.filter(isSought).length, [])).toHaveProperty("value");
  });
});

test.each(REFUSED)("%s is refused as a configuration is, with exit code 78", async (pattern) => {
  const text = `actions: { a: { shell: x, process: { command_string: ${JSON.stringify(pattern)} } } }`;
  const read = await openLater(() => load(text), ["configuration"]);
  if ("value" in read) throw new Error("it was accepted");
  expect(read.error.message).toMatch(/:1: actions\.a\.process\.command_string: is not a regular expression in RE2 syntax: /);
  expect(exitCodeOfError(read.error)).toBe(78);
  expect(EXIT_CODES).toHaveProperty("78");
});

test("whatever a process calls itself and is given, its line of the list is read", () => {
  const stat = fc
    .tuple(nastyText, fc.integer())
    .map(([comm, pid]) => `${pid} (${comm}) S 1 ${pid} 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0`);
  fc.assert(
    fc.property(fc.oneof(stat, mangled(stat, 2), nastyText), (text) => {
      const read = open(() => parseStat(text), []);
      if (!("value" in read) || read.value === null) return;
      expect([read.value.pid, read.value.parent, read.value.startTicks].every(Number.isSafeInteger)).toBe(true);
    }),
    { numRuns: CASES },
  );
  fc.assert(
    fc.property(fc.array(nastyText.filter((text) => !text.includes("\0"))), (given) => {
      const read = open(() => splitArguments(given.map((argument) => `${argument}\0`).join("")), []);
      // Empty ones at the end cannot be told from padding.
      const last = given.findLastIndex((argument) => argument !== "");
      expect(read).toEqual({ value: given.slice(0, last + 1) });
    }),
    { numRuns: CASES },
  );
  // A process may give itself so many empty arguments.
  expect(open(() => splitArguments(`a${"\0".repeat(200_000)}b`).length, [])).toEqual({ value: 200_001 });
});
