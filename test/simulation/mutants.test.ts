// What mutations leave is code that compiles, or else a name that is gone would be noticed by any seed and would show
// nothing; and the simulation notices a mistake, and shows it in a short trace.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";
import { type MutatedFile, readCode } from "./anchors.js";
import { judge } from "./mutants.js";
import { MUTATIONS } from "./mutations.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
// Some 10 s of a processor of its own for each of these tests; with the other tests beside them, several times that.
const DEADLINE_MS = 240_000;
const SEEDS = 20_000;
// Of many, two that only chance upon chance brings about: here it is shown that they are noticed, not how soon.
const NOTICED = ["the orphaned command of an adopted claim goes on", "nothing outside the agent watches over its command"];

test(
  "mutations leave code that compiles",
  () => {
    const code = readCode(ROOT);
    const compile = compiler();
    const mutated = MUTATIONS.map((mutation) => ({ name: mutation.name, ...code.mutate(mutation) }));
    const broken = roundsOf(mutated).flatMap(compile);
    expect(broken).toEqual([]);
  },
  DEADLINE_MS,
);

test.each(NOTICED)(
  "a mutation is noticed, and shown in a short trace: %s",
  async (name) => {
    const mutation = MUTATIONS.find((one) => one.name === name);
    if (mutation === undefined) throw new Error(`there is no mutation "${name}"`);
    const { outcome } = await judge(ROOT, mutation, SEEDS, true);
    expect(outcome?.violation).toMatch(/command/);
    expect(outcome?.trace.length).toBeLessThan(60);
    expect(outcome?.trace.at(-1)).toContain(outcome?.violation);
  },
  DEADLINE_MS,
);

interface Mutant extends MutatedFile {
  readonly name: string;
}

/** Mutants of different files, which can be compiled together: that takes a third of the time. */
function roundsOf(mutants: readonly Mutant[]): readonly (readonly Mutant[])[] {
  const rounds: Mutant[][] = [];
  for (const mutant of mutants) {
    const round = rounds.find((others) => others.every(({ file }) => file !== mutant.file));
    if (round === undefined) rounds.push([mutant]);
    else round.push(mutant);
  }
  return rounds;
}

/** Gives what the compiler has against files in place of those on the disk. */
function compiler(): (mutants: readonly Mutant[]) => string[] {
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), (path) => ts.sys.readFile(path)) as { config: unknown };
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  let round = 0;
  let mutated: ReadonlyMap<string, string> = new Map();
  const service = ts.createLanguageService({
    getScriptFileNames: () => fileNames.filter((name) => /\/(src|test\/simulation)\//.test(name)),
    // Whatever is not mutated is as it was, also what was mutated before.
    getScriptVersion: (path) => (mutated.has(path) ? String(round) : "0"),
    getScriptSnapshot: (path) => {
      const source = mutated.get(path) ?? ts.sys.readFile(path);
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
  return (mutants) => {
    round += 1;
    mutated = new Map(mutants.map(({ file, source }) => [join(ROOT, file), source]));
    return mutants.flatMap(({ name, file }) => {
      const path = join(ROOT, file);
      const found = [...service.getSyntacticDiagnostics(path), ...service.getSemanticDiagnostics(path)];
      return found.map(({ messageText }) => `${name}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`);
    });
  };
}
