// Builds the program for the tests of crash points: src/ as it is, with test/fixtures/crash-points.ts in the place of the
// two doors through which a run reaches the world. Nothing in src/ knows of it.
import { dirname, join, resolve } from "node:path";
import { mkdtemp, rm } from "node:fs/promises";
import { build, type Plugin, stop } from "esbuild";
import { afterAll, beforeAll } from "vitest";

const REPOSITORY = resolve(import.meta.dirname, "../..");
const POINTS = join(REPOSITORY, "test/fixtures/crash-points.ts");
const DOORS = ["src/coordinators/registry", "src/actions/host"].map((path) => join(REPOSITORY, path));

const throughPoints: Plugin = {
  name: "crash points",
  setup(bundling) {
    bundling.onResolve({ filter: /\/(registry|host)\.js$/ }, ({ path, resolveDir, importer }) => {
      const isDoor = DOORS.includes(join(resolveDir, path).replace(/\.js$/, ""));
      return isDoor && importer !== POINTS ? { path: POINTS } : null;
    });
  },
};

// Packages in the older module form ask for node's own modules by `require`.
const REQUIRE =
  'import { createRequire as __createRequire } from "node:module";\nconst require = __createRequire(import.meta.url);';

/** The program, as a file that node runs. */
export interface CrashProgram {
  readonly path: string;
}

/** Builds it before the first test of this file, and removes it after the last. */
export function shareCrashProgram(): CrashProgram {
  const built = { path: "" };
  beforeAll(async () => {
    built.path = join(await buildCrashProgram(), "main.mjs");
  });
  afterAll(() => rm(dirname(built.path), { recursive: true, force: true }));
  return built;
}

async function buildCrashProgram(): Promise<string> {
  // Below node_modules, where it finds the packages that are not bundled.
  const directory = await mkdtemp(join(REPOSITORY, "node_modules/.holdline-crash-"));
  await build({
    absWorkingDir: REPOSITORY,
    entryPoints: ["src/main.ts"],
    outdir: directory,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["libsql"],
    banner: { js: REQUIRE },
    plugins: [throughPoints],
    logLevel: "warning",
  });
  // Its service is a child process, which would count as left open.
  await stop();
  return directory;
}
