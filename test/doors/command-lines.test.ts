// Command lines of any words: an exit code that the documents know, clear lines on standard error without a password, one
// document on standard output where JSON was asked for, and nothing contacted that the words do not ask for.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAcquire } from "../../src/cli/commands/acquire.js";
import { parseChanges } from "../../src/cli/commands/data.js";
import { parseExec } from "../../src/cli/commands/exec.js";
import { parseLock } from "../../src/cli/commands/lock.js";
import { EXIT_CODES } from "../../src/cli/exit-codes.js";
import { runProgram } from "../../src/cli/program.js";
import { readLock } from "../../src/cli/leases.js";
import { COMMANDS, GLOBAL_OPTIONS } from "../../src/cli/command-table.js";
import { applyChanges } from "../../src/leases/data.js";
import { HOST_LOCK_TYPES } from "../../src/leases/hosts.js";
import type { LeaseRequest } from "../../src/leases/request.js";
import { decodeRecord, encodeRecord, isSlots } from "../../src/locks/claim.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { lockNameProblem } from "../../src/locks/names.js";
import { context, invocation, recordedIo, settings } from "../cli/fakes.js";
import { CASES, mangled, nastyText, nastyValue, PROTOTYPE_KEYS } from "./junk.js";
import { someRecord } from "./records.js";
import { expectClear, expectShare, failOnPollution, openLater } from "./verdict.js";

failOnPollution();

const SECRET = "hunter2";
const NOT_TO_BE_HAD = new HoldlineError("unreachable", "the store is not to be had here");

const flags = [...GLOBAL_OPTIONS, ...COMMANDS.flatMap(({ options }) => options)].flatMap(
  ({ form }) => form.match(/--?[a-z]+(?:-[a-z]+)*/g) ?? [],
);
// `serve` listens until a signal stops it, and `concourse` reads standard input. Those are doors of their own.
const ELSEWHERE: readonly string[] = ["serve", "concourse"];
const names = COMMANDS.map(({ name }) => name).filter((name) => !ELSEWHERE.includes(name));
const known = fc.constantFrom(...names, ...flags, "help", "--help", "--version", "-V", "--", "--json");
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
    "status=READY",
    "@/nowhere/data.yaml",
    "dc01",
    "smb://fs01/share/x",
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
  fc.tuple(fc.constantFrom(...names), fc.array(word, { maxLength: 5 })).map(([name, rest]) => [name, ...rest]),
  fc.tuple(values, fc.array(word, { maxLength: 4 })).map(([lock, rest]) => ["exec", lock, ...rest, "--", "true"]),
);

/** @returns the exit code */
async function expectCommandOrRefusal(argv: readonly string[]): Promise<number> {
  const io = recordedIo();
  const opened = context(null, io, {
    json: argv.includes("--json"),
    coordinator: () => Promise.reject(NOT_TO_BE_HAD),
    coordinators: () => Promise.reject(NOT_TO_BE_HAD),
    leases: () => Promise.reject(NOT_TO_BE_HAD),
    agent: () => Promise.reject(NOT_TO_BE_HAD),
    // What is wrong with a store is a finding, and no error of `check`.
    upkeep: {
      examine: () => Promise.resolve({ facts: {}, findings: [] }),
      mend: () => Promise.resolve(null),
      tidy: () => Promise.resolve(null),
    },
    moving: { copy: () => Promise.reject(NOT_TO_BE_HAD), giveUp: () => Promise.reject(NOT_TO_BE_HAD) },
  });
  const run = runProgram({
    argv,
    io,
    stop: opened.stop,
    withContext: (_, use) => use(opened),
  });
  const ended = await openLater(() => run, []);
  const code = "value" in ended ? ended.value : Number.NaN;
  // A map of dependencies is a part of a configuration, and here no file is one.
  expect(argv.some((given) => given.startsWith("--dependencies")) ? [0, 64, 69, 78] : [0, 64, 69]).toContain(code);
  expect(EXIT_CODES).toHaveProperty(String(code));
  if (code === 0) return code;
  const lines = io.err().split("\n");
  expect(lines.pop()).toBe("");
  expect(lines[0]).toMatch(/^holdline: /);
  for (const line of lines) expectClear(line, SECRET);
  const head = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  if (head.includes("--json")) expect(JSON.parse(io.out())).toHaveProperty("error.code");
  else expect(io.out()).toBe("");
  return code;
}

test("any words are a command, or refused in clear words", async () => {
  const codes = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(argvs, async (argv) => {
      const code = await expectCommandOrRefusal(argv);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }),
    { numRuns: CASES },
  );
  for (const code of [0, 64, 69]) expectShare(codes.get(code) ?? 0, 1 / 200, `exit code ${code}`);
});

// Generated input has found these once: the parser's own words were printed as they are.
test.each<[what: string, argv: readonly string[]]>([
  ["an option with lines of its own", ["--x\ny"]],
  ["a command with lines of its own", ["x\n(Did you mean y?)"]],
  ["a command that moves the cursor", ["\x1b[2J"]],
  ["an action that moves the cursor", ["run", "a\x1b[2J\u202e"]],
  ["half a character", ["exec", "\ud800", "--", "true"]],
  ["half a character for an option", ["run", "--\udfff"]],
  ["a command without end", ["a".repeat(20_000)]],
  ["an action without end", ["run", "a".repeat(20_000)]],
  [
    "a URL with a password in the place of a number",
    ["exec", "--slots", `zookeeper://bob:${SECRET}@zk1:2181/x`, "a", "--", "true"],
  ],
  ["a URL with a password in the place of a command", [`zookeeper://bob:${SECRET}@zk1:2181/x`]],
  ["an option that every object has", ["run", "--__proto__"]],
  ["a command that every object has", ["constructor"]],
])("%s is refused in clear words", async (_, argv) => {
  expect(await expectCommandOrRefusal(argv)).toBe(64);
});

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

describe("the options of exec", () => {
  test("are values that a claim can have, or are refused in clear words", async () => {
    const options = fc.record({ slots: values, key: values, timeout: values, data: yaml }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant("a"), values), options, async (lock, given) => {
        const read = await openLater(() => parseExec(invocation([lock], given, ["true"]), settings()), ["usage"]);
        if (!("value" in read)) return;
        const spec = read.value;
        expect(lockNameProblem(spec.lock)).toBeNull();
        expect(isSlots(spec.slots)).toBe(true);
        expect(spec.acquire.timeoutMs === null || (spec.acquire.timeoutMs >= 0 && spec.acquire.timeoutMs < 2 ** 31)).toBe(true);
        expectKept(spec.data);
      }),
      { numRuns: CASES },
    );
  });
});

describe("the options for what is locked by hand", () => {
  const lasting = { ttl: values, wait: values, data: yaml };

  test("of acquire are a lease that a store can have, or are refused in clear words", async () => {
    const options = fc.record({ slots: values, key: values, reason: values, ...lasting }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant("a"), values), options, async (lock, given) => {
        const asked = invocation([lock], given);
        const read = await openLater(async () => parseAcquire(asked, readLock({ settings: settings() }, asked)), ["usage"]);
        if ("value" in read) expectFit(read.value);
      }),
      { numRuns: CASES },
    );
  });

  test("of lock are one of hosts, or are refused in clear words", async () => {
    const options = fc.record(
      {
        ...{
          type: fc.oneof(fc.constantFrom(...HOST_LOCK_TYPES), values),
          file: values,
          caller: values,
          description: values,
          retry: values,
          sleep: values,
        },
        ...{ dependencies: fc.constant(false), ensureUnlock: fc.constant(true) },
        ...lasting,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.option(fc.oneof(fc.constant("dc01"), values), { nil: undefined }), options, async (host, given) => {
        const asked = invocation(host === undefined ? [] : [host], given);
        const read = await openLater(() => parseLock(asked, settings()), ["usage"]);
        if ("value" in read) expectFit(read.value.request);
      }),
      { numRuns: CASES },
    );
  });

  test("of data are changes that can be made, or are refused in clear words", async () => {
    const set = fc.array(
      fc.oneof(
        values,
        fc.tuple(values, yaml).map((parts) => parts.join("=")),
      ),
      { maxLength: 2 },
    );
    const options = fc.record({ set, merge: yaml, replace: yaml }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(options, nastyValue, async (given, present) => {
        const changed = await openLater(
          async () => applyChanges(present, await parseChanges(invocation(["a", "b"], given).options)),
          ["usage"],
        );
        if ("value" in changed) expectKept(changed.value);
      }),
      { numRuns: CASES },
    );
  });

  function expectFit({ locks, type, caller, path, key, slots, reason, data, waitMs, ttlMs }: LeaseRequest): void {
    for (const lock of locks) expect(lockNameProblem(lock)).toBeNull();
    expect(isSlots(slots)).toBe(true);
    expect(waitMs === null || waitMs >= 0).toBe(true);
    expect(ttlMs === null || ttlMs > 0).toBe(true);
    const said = { key, slots, reason, lease: { type, caller, path, locks } };
    expect(decodeRecord(encodeRecord({ ...someRecord, ...said }))).toMatchObject(said);
    expectKept(data);
  }
});

/** A record with this data is not too long, and gives it back. */
function expectKept(data: unknown): void {
  const text = encodeRecord({ ...someRecord, data });
  expect(text.length).toBeLessThan(400_000);
  expect(decodeRecord(text)?.data).toEqual(JSON.parse(JSON.stringify(data ?? null)));
}
