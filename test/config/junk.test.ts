// Whatever a configuration consists of: either settings come of it, or one error that says what is wrong.
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { parseActions, ACTION_KEYS } from "../../src/config/actions.js";
import { createField } from "../../src/config/field.js";
import { loadSettings } from "../../src/config/load.js";
import { parseDependencies, parseLocks } from "../../src/config/locks.js";
import { createProblems, plainOrigin } from "../../src/config/problems.js";
import { SETTING_PATHS, variableOf } from "../../src/config/schema.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { configFile, surroundings } from "./loading.js";

const words = fc.constantFrom(
  ...SETTING_PATHS.flatMap((path) => path.split(".")),
  ...ACTION_KEYS.flatMap(({ key }) => key.split(".")),
  ...[
    "actions",
    "locks",
    "__proto__",
    "constructor",
    "toString",
    "prototype",
    "<<",
    "",
    "ttl",
    "a",
    "-",
    "none",
    "serialize_process",
    "10 s",
    "unlimited",
  ],
);
const leaf = fc.oneof(
  words,
  fc.string(),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
  fc.string({ unit: "binary" }),
);
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(words, fc.string()), tie("tree"), { maxKeys: 5 }),
  ),
}));

test("actions, locks and dependencies of any values are read or refused, never anything else", () => {
  fc.assert(
    fc.property(tree, tree, tree, (actions, locks, hosts) => {
      const problems = createProblems();
      const field = (value: unknown, name: string) => createField(value, [name], plainOrigin("junk"), problems);
      const context = {
        acquire: { sleepTimeMs: 1, timeoutMs: null },
        directory: (path: string) => path,
        onPattern: () => undefined,
      };
      const read = parseActions(field({ a: actions, b: { shell: "x", data: actions } }, "actions"), context);
      parseLocks(field({ l: locks }, "locks"));
      for (const names of parseDependencies(field(hosts, "dependencies")).values())
        expect(names.every((name) => name !== "" && name === name.toLowerCase())).toBe(true);
      if (!problems.lines.some((line) => line.startsWith("junk: actions"))) expect(read).toHaveLength(2);
      for (const line of problems.lines) expect(line).toMatch(/^junk: (?:actions|locks|dependencies)\b/);
      for (const { argv, slots } of read) expect(argv.length > 0 && slots >= 1).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

const around = surroundings();

async function expectSettingsOrError(text: string, env: Record<string, string> = {}): Promise<void> {
  try {
    const settings = await loadSettings({ config: configFile(text), flags: new Map(), surroundings: { ...around, env } });
    expect(settings.node.length).toBeGreaterThan(0);
  } catch (error) {
    if (!(error instanceof HoldlineError)) throw error;
    expect(error.code).toBe("configuration");
    expect(error.message.split("\n").length).toBeLessThanOrEqual(51);
  }
}

test("a file of any values gives settings or a configuration error", async () => {
  const settings = fc.record(
    Object.fromEntries(
      ["acquire", "log", "history", "actions", "locks", "dependencies", "coordinator", "node", "__proto__"].map((key) => [
        key,
        tree,
      ]),
    ),
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(tree, settings), async (value) => {
      await expectSettingsOrError(stringify(value, { aliasDuplicateObjects: false }) ?? "");
    }),
    { numRuns: 300 },
  );
});

test("a file of any text, and an environment of any values, give settings or a configuration error", async () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc
      .array(
        fc.oneof(
          words,
          fc.constantFrom(": ", "\n  ", "- ", "[", "]", "{", "}", "&a ", "*a ", "!x ", "|\n", '"', "'", "#", "%", "\t"),
        ),
      )
      .map((parts) => parts.join("")),
  );
  const env = fc.dictionary(fc.constantFrom(...SETTING_PATHS.map(variableOf), "HOLDLINE_X"), fc.string({ unit: "binary" }), {
    maxKeys: 2,
  });
  await fc.assert(
    fc.asyncProperty(text, env, async (...junk) => expectSettingsOrError(...junk)),
    { numRuns: 600 },
  );
});
