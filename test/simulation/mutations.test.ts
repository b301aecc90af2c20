// Each mutation finds the code that it changes, wherever that stands and however it is laid out, and what it leaves still
// compiles: a name that is gone would be noticed by any seed, and would show nothing.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, onTestFinished, test } from "vitest";
import { type MutatedFile, readCode } from "./anchors.js";
import { MUTATIONS } from "./mutations.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
// Each mutated file is type-checked on its own: about 10 s of one processor for all, several times that on a busy machine.
const COMPILE_DEADLINE_MS = 180_000;

describe("the mutations", () => {
  const code = readCode(ROOT);

  test.each(MUTATIONS)("$name: its anchor is in $in", (mutation) => {
    const { file, source } = code.mutate(mutation);
    expect(source).not.toBe(ts.sys.readFile(join(ROOT, file)));
  });

  test(
    "leave code that compiles",
    () => {
      const compile = compiler();
      const broken = MUTATIONS.flatMap((mutation) =>
        compile(code.mutate(mutation)).map((problem) => `${mutation.name}: ${problem}`),
      );
      expect(broken).toEqual([]);
    },
    COMPILE_DEADLINE_MS,
  );
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

/** Gives what the compiler has against a file in place of the one on the disk. */
function compiler(): (file: MutatedFile) => string[] {
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), (path) => ts.sys.readFile(path)) as { config: unknown };
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  let version = 0;
  let mutated = { path: "", source: "" };
  const service = ts.createLanguageService({
    getScriptFileNames: () => fileNames.filter((name) => /\/(src|test\/simulation)\//.test(name)),
    // Whatever is not the mutated file is as it was, also the one that was mutated before.
    getScriptVersion: (path) => (path === mutated.path ? String(version) : "0"),
    getScriptSnapshot: (path) => {
      const source = path === mutated.path ? mutated.source : ts.sys.readFile(path);
      return source === undefined ? undefined : ts.ScriptSnapshot.fromString(source);
    },
    getCurrentDirectory: () => ROOT,
    getCompilationSettings: () => options,
    getDefaultLibFileName: (given) => ts.getDefaultLibFilePath(given),
    fileExists: (path) => ts.sys.fileExists(path),
    readFile: (path) => ts.sys.readFile(path),
    directoryExists: (path) => ts.sys.directoryExists(path),
    getDirectories: (path) => ts.sys.getDirectories(path),
  });
  return ({ file, source }) => {
    version += 1;
    mutated = { path: join(ROOT, file), source };
    const found = [...service.getSyntacticDiagnostics(mutated.path), ...service.getSemanticDiagnostics(mutated.path)];
    return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "));
  };
}
