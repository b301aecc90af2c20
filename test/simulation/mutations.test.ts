// Each mutation finds the code that it changes, wherever that stands and however it is laid out. What comes of the changed
// code is mutants.test.ts's.
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { readCode } from "./anchors.js";
import { MUTATIONS } from "./mutations.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

describe("the mutations", () => {
  const code = readCode(ROOT);

  test.each(MUTATIONS)("$name: its anchor is in $in", (mutation) => {
    const { file, source } = code.mutate(mutation);
    expect(source).not.toBe(readFileSync(join(ROOT, file), "utf8"));
  });
});

describe("an anchor", () => {
  const MUTATION = {
    name: "the rule is turned round",
    in: "Rule.#isFirst",
    find: "return first(claims, key);",
    replacement: "return true;",
  };

  test("is found whatever the layout and the comments, and in whatever file", async () => {
    const source = `class Rule {
  other() {
    return first(claims, key);
  }
  /** return first(claims, key); */
  #isFirst() {
    // return first(claims, key);
    return first(
      claims, // in order
      key,
    );
  }
}
`;
    const code = readCode(await repository({ "src/a/deep/rule.ts": source, "src/b.ts": "export const b = 1;\n" }));
    const { file, source: mutated } = code.mutate(MUTATION);
    expect(file).toBe("src/a/deep/rule.ts");
    expect(mutated).toBe(source.replace(/ {4}return first\(\n[^]*?\);\n {2}\}\n\}/, "    return true;\n  }\n}"));
  });

  test.each([
    ["its function is gone", "class Rule {}\n", "no function or method is named Rule.#isFirst"],
    ["its expression is gone", "class Rule { #isFirst() {} }\n", "Rule.#isFirst in src/rule.ts has 0 times"],
    [
      "its expression is there twice",
      "class Rule { #isFirst() { if (a) return first(claims, key); return first(claims, key); } }\n",
      "Rule.#isFirst in src/rule.ts has 2 times",
    ],
  ])("names its mutation when %s", async (_, source, problem) => {
    const code = readCode(await repository({ "src/rule.ts": source }));
    expect(() => code.mutate(MUTATION)).toThrow(`the mutation "the rule is turned round" has lost its anchor: ${problem}`);
  });
});

async function repository(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "holdline-test-"));
  onTestFinished(() => rm(root, { recursive: true }));
  await mkdir(join(root, "test/simulation"), { recursive: true });
  for (const [name, source] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), source);
  }
  return root;
}
