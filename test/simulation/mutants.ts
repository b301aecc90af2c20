// Builds the simulation over code that was changed on purpose, and sees how long it takes to notice.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { type Code, readCode } from "./anchors.js";
import type { Mutation } from "./mutations.js";
import { type Outcome, simulateSeed } from "./run.js";
import type { shrink } from "./shrink.js";

export interface Verdict {
  readonly mutation: Mutation;
  /** The first seed that noticed it; `null` when none did. */
  readonly seed: number | null;
  /** What it noticed, as short as it can be had where that was asked for. */
  readonly outcome: Outcome | null;
}

interface Simulation {
  readonly simulateSeed: typeof simulateSeed;
  readonly shrink: typeof shrink;
}

/** Runs seeds over a mutated copy of the code until one fails. */
export async function judge(root: string, mutation: Mutation, mostSeeds: number, shrinks = false): Promise<Verdict> {
  const simulation = await load(root, mutation);
  for (let seed = 1; seed <= mostSeeds; seed += 1) {
    const outcome = await simulation.simulateSeed(seed);
    if (outcome.violation === null) continue;
    // What fails in any case says nothing of the mutation.
    const { violation } = await simulateSeed(seed);
    if (violation !== null) throw new Error(`seed ${seed} fails without the mutation as well: ${violation}`);
    return { mutation, seed, outcome: shrinks ? await simulation.shrink(outcome) : outcome };
  }
  return { mutation, seed: null, outcome: null };
}

const codeOf = new Map<string, Code>();
let loaded = 0;

async function load(root: string, mutation: Mutation): Promise<Simulation> {
  const code = codeOf.get(root) ?? readCode(root);
  codeOf.set(root, code);
  const { file, source } = code.mutate(mutation);
  const path = join(root, file);
  const { outputFiles } = await build({
    stdin: {
      contents: 'export * from "./run.js"; export * from "./shrink.js";',
      resolveDir: join(root, "test/simulation"),
      loader: "ts",
    },
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "error",
    plugins: [
      {
        name: "mutation",
        setup: (bundler) =>
          bundler.onLoad({ filter: /\.ts$/ }, ({ path: read }) => (read === path ? { contents: source, loader: "ts" } : undefined)),
      },
    ],
  });
  const folder = join(root, "node_modules/.cache/holdline-simulation");
  await mkdir(folder, { recursive: true });
  const target = join(folder, `mutant-${process.pid}-${(loaded += 1)}.mjs`);
  await writeFile(target, (outputFiles[0] as { text: string }).text);
  return (await import(pathToFileURL(target).href)) as Simulation;
}
