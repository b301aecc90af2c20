// Starting a contender of the conformance suite as a process of its own, over one of this repository's coordinators.
import { mkdir, rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { build, stop } from "esbuild";
import { type Contender, startProgram } from "../../src/conformance/contenders.js";
import type { ContenderTask } from "../../src/conformance/contending.js";
import type { CoordinatorOptions } from "../../src/locks/coordinator.js";

export type { Contender, ContenderTask };

/** Which coordinator a contender is to use: a module below src, and its opener there. */
export interface ContenderKind {
  readonly coordinator: string;
  readonly opener: string;
}

export interface ContenderStart {
  readonly kind: ContenderKind;
  readonly url: string;
  readonly options: CoordinatorOptions;
  readonly task: ContenderTask;
  /** A command that runs what follows it, such as `setpriv --reuid=65534`. */
  readonly under?: readonly string[];
}

/** Starts a contender; resolves when the process runs, which may be before it has said anything. */
export async function startContender({ kind, url, options, task, under = [] }: ContenderStart): Promise<Contender> {
  const program = await bundleContender(kind);
  const command = [...under, process.execPath, program, url, JSON.stringify({ ...options, log: undefined }), JSON.stringify(task)];
  return startProgram(command);
}

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const bundles = new Map<string, Promise<string>>();

/** Node 20 runs no TypeScript: the contender is bundled, once for each file of tests, to where it finds node_modules. */
function bundleContender({ coordinator, opener }: ContenderKind): Promise<string> {
  let bundled = bundles.get(coordinator);
  if (bundled === undefined) {
    bundled = bundle(coordinator, opener);
    bundles.set(coordinator, bundled);
  }
  return bundled;
}

async function bundle(coordinator: string, opener: string): Promise<string> {
  const source = [
    `import { ${opener} } from "../../src/${coordinator}/index.ts";`,
    'import { runContender } from "../../src/conformance/contender-process.ts";',
    `await runContender(${opener}, process.argv.slice(2));`,
  ];
  const { outputFiles } = await build({
    stdin: { contents: source.join("\n"), resolveDir: join(REPOSITORY, "test/support"), loader: "ts" },
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    sourcemap: "inline",
  });
  // Its service is a child process, which would count as left open.
  await stop();
  const directory = join(REPOSITORY, "node_modules/.cache/holdline-test");
  await mkdir(directory, { recursive: true });
  const path = join(directory, `contender-${coordinator.replaceAll("/", "-")}.mjs`);
  // Renamed into place: another file's tests may be about to start it.
  await writeFile(`${path}.${process.pid}`, (outputFiles[0] as { text: string }).text);
  await rename(`${path}.${process.pid}`, path);
  return path;
}
