// Command lines of any words: an exit code that the documents know, clear lines on standard error without a password, one
// document on standard output where JSON was asked for, and nothing contacted that the words do not ask for.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseExec } from "../../src/cli/commands/exec.js";
import { EXIT_CODES } from "../../src/cli/exit-codes.js";
import { runProgram } from "../../src/cli/program.js";
import { COMMANDS, GLOBAL_OPTIONS } from "../../src/cli/registry.js";
import { decodeRecord, encodeRecord, isSlots } from "../../src/locks/claim.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { lockNameProblem } from "../../src/locks/names.js";
import { context, invocation, recordedIo, settings } from "../cli/fakes.js";
import { CASES, mangled, nastyText, nastyValue, PROTOTYPE_KEYS } from "./junk.js";
import { someRecord } from "./records.js";
import { expectClear, failOnPollution, openLater } from "./verdict.js";

failOnPollution();

const SECRET = "hunter2";
const NOT_TO_BE_HAD = new HoldlineError("unreachable", "the store is not to be had here");

const flags = [...GLOBAL_OPTIONS, ...COMMANDS.flatMap(({ options }) => options)].flatMap(
  ({ form }) => form.match(/--?[a-z]+/g) ?? [],
);
const known = fc.constantFrom(...COMMANDS.map(({ name }) => name), ...flags, "help", "--help", "--version", "-V", "--", "--json");
const values = fc.oneof(
  nastyText,
  fc.constantFrom(
    "a",
    "restart/nginx",
    "30 s",
    "none",
    "3",
    "unlimited",
    "{ a: [1] }",
    `zookeeper://bob:${SECRET}@zk1:2181/x`,
    ...PROTOTYPE_KEYS.map((key) => `--${key}`),
  ),
);
const word = fc.oneof(
  { weight: 4, arbitrary: known },
  { weight: 3, arbitrary: values },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom(...flags), values).map((parts) => parts.join("=")) },
  mangled(known, 1),
);
const argvs = fc.oneof(
  fc.array(word, { maxLength: 8 }),
  fc
    .tuple(fc.constantFrom(...COMMANDS.map(({ name }) => name)), fc.array(word, { maxLength: 5 }))
    .map(([name, rest]) => [name, ...rest]),
  fc.tuple(values, fc.array(word, { maxLength: 4 })).map(([lock, rest]) => ["exec", lock, ...rest, "--", "true"]),
);

test("any words are a command, or refused in clear words", async () => {
  const codes = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(argvs, async (argv) => {
      const io = recordedIo();
      const opened = context(null, io, {
        json: argv.includes("--json"),
        coordinator: () => Promise.reject(NOT_TO_BE_HAD),
        agent: () => Promise.reject(NOT_TO_BE_HAD),
      });
      const run = runProgram({
        argv,
        io,
        stop: opened.stop,
        open: () => Promise.resolve({ context: opened, close: () => Promise.resolve() }),
      });
      const ended = await openLater(() => run, []);
      const code = "value" in ended ? ended.value : Number.NaN;
      codes.set(code, (codes.get(code) ?? 0) + 1);
      expect([0, 64, 69]).toContain(code);
      expect(EXIT_CODES).toHaveProperty(String(code));
      if (code === 0) return;
      const lines = io.err().split("\n");
      expect(lines.pop()).toBe("");
      expect(lines[0]).toMatch(/^holdline: /);
      for (const line of lines) expectClear(line, SECRET);
      const head = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
      if (head.includes("--json")) expect(JSON.parse(io.out())).toHaveProperty("error.code");
      else expect(io.out()).toBe("");
    }),
    { numRuns: CASES },
  );
  for (const code of [0, 64, 69]) expect(codes.get(code) ?? 0, `exit code ${code}`).toBeGreaterThan(CASES / 100);
});

describe("the options of exec", () => {
  test("are values that a claim can have, or are refused in clear words", async () => {
    const yaml = fc.oneof(
      nastyText,
      nastyValue.map((value) => JSON.stringify(value)),
      mangled(
        fc.constantFrom(
          "{ ticket: [OPS-123, ~, 1e3], b: &b { c: 1 }, d: *b }",
          '["\\ud800", "\\u0000"]',
          "- a\n- b: |\n    c\n",
          "!!str 1",
        ),
        3,
      ),
    );
    const options = fc.record({ slots: values, key: values, timeout: values, data: yaml }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant("a"), values), options, async (lock, given) => {
        const read = await openLater(() => parseExec(invocation([lock], given, ["true"]), settings()), ["usage"]);
        if (!("value" in read)) return;
        const spec = read.value;
        expect(lockNameProblem(spec.lock)).toBeNull();
        expect(isSlots(spec.slots)).toBe(true);
        expect(spec.acquire.timeoutMs === null || (spec.acquire.timeoutMs >= 0 && spec.acquire.timeoutMs < 2 ** 31)).toBe(true);
        const text = encodeRecord({ ...someRecord, data: spec.data });
        expect(text.length).toBeLessThan(400_000);
        expect(decodeRecord(text)?.data).toEqual(JSON.parse(JSON.stringify(spec.data ?? null)));
      }),
      { numRuns: CASES },
    );
  });
});
