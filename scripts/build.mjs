// Builds dist/: the program, its man page, the library with its types, and the benchmark. Knows whether a build is up to date.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensurePackages, root } from "./packages.mjs";

const INPUTS = [
  "src",
  "bench",
  "scripts/build.mjs",
  "scripts/compile.cjs",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "tsconfig.build.json",
];
const STAMP = "dist/.built-from";

// The conformance suite is bundled together with the library, so that both share one class of each error.
const SUITE = [
  { in: "src/conformance/index.ts", out: "conformance" },
  { in: "src/conformance/contender.ts", out: "conformance-contender" },
];

// Each is bundled on its own: a chunk that two entries share would be one more file to load at each start.
const ENTRIES = [
  { source: "src/boot.ts", out: "main", format: "cjs" },
  { source: "src/main.ts", out: "program", format: "cjs", loaded: true },
  { source: "src/index.ts", out: "index", together: SUITE },
  { source: "bench/driver.ts", out: "bench/driver" },
  { source: "bench/run.ts", out: "bench/run" },
  { source: "bench/http.ts", out: "bench/http" },
];

// Packages that only some runs need become files of their own: every start pays for the size of the program's file, whether its
// code runs or not. All in one file, `exec` would take 7 ms more. The native half of SQLite's driver stays a dependency, the only
// one: everything else is bundled, so that users run the versions that the tests ran.
const PARTS = [
  "@redis/client",
  "@fastify/swagger",
  "aws4",
  "execa",
  "fastify",
  "libsql",
  "mysql2",
  "pg",
  "picomatch",
  "pino",
  "prom-client",
  "re2js",
  "temporal-polyfill",
  "yaml",
];

// Native packages cannot be bundled. The others belong to the conformance suite and to the benchmark's server harness.
const EXTERNAL = ["libsql", "testcontainers", "vitest"];

// CommonJS packages call `require` for node's own modules, which an ES module lacks.
const REQUIRE =
  'import { createRequire as __createRequire } from "node:module";\nconst require = __createRequire(import.meta.url);\n';

/** A hash of the path, size and time of change of every source. Takes a few milliseconds. */
function fingerprint() {
  const hash = createHash("sha1");
  const visit = (path) => {
    const stat = statSync(join(root, path), { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (stat.isDirectory()) for (const name of readdirSync(join(root, path)).sort()) visit(`${path}/${name}`);
    else hash.update(`${path} ${stat.size} ${stat.mtimeMs}\n`);
  };
  for (const input of INPUTS) visit(input);
  return hash.digest("hex");
}

/** Whether dist/ was built from the sources as they are now. */
export function isBuilt() {
  const stamp = join(root, STAMP);
  return existsSync(stamp) && existsSync(join(root, "node_modules/libsql")) && readFileSync(stamp, "utf8") === fingerprint();
}

/** Builds dist/ if it is missing or out of date, and says so on standard error. */
export async function ensureBuilt() {
  if (isBuilt()) return;
  ensurePackages();
  process.stderr.write("holdline: building …\n");
  await build({ types: false });
}

/**
 * Builds into a folder of its own, which then replaces dist/, so that nobody runs half a build.
 * @param types whether to make the library's type declarations, which take seconds and which the program does not need
 */
export async function build({ types }) {
  const stamp = fingerprint();
  const out = `node_modules/.holdline-build-${process.pid}`;
  mkdirSync(join(root, out));
  try {
    const esbuild = await import("esbuild");
    const parts = PARTS.map((name) => ({ source: name, out: `parts/${name}`, format: "cjs", loaded: true }));
    const entries = [...ENTRIES.filter(({ source }) => existsSync(join(root, source))), ...parts];
    const bundled = await Promise.all(entries.map((entry) => bundle(esbuild, entry, out))).catch(() => {
      throw new Error("the sources could not be bundled; see the bundler's messages above");
    });
    // Code that vm.Script runs cannot use import(): see src/coordinators/plug-ins.ts.
    writeFileSync(join(root, out, "import.cjs"), "module.exports = (url) => import(url);\n");
    compile(out);
    await writeManPage(esbuild, out);
    await writePage(esbuild, out);
    writeLicenses(bundled, out);
    if (types) await declareTypes(out);
    writeFileSync(join(root, out, ".built-from"), stamp);
    putInPlace(out);
  } finally {
    rmSync(join(root, out), { recursive: true, force: true });
  }
}

/** Replaces dist/ by a finished build. Another build may be doing the same at this moment. */
function putInPlace(out) {
  const dist = join(root, "dist");
  const old = join(root, `${out}.old`);
  for (let tries = 1; ; tries += 1) {
    try {
      if (existsSync(dist)) renameSync(dist, old);
      renameSync(join(root, out), dist);
      return;
    } catch (error) {
      if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(error.code) || tries === 10) throw error;
    } finally {
      rmSync(old, { recursive: true, force: true });
    }
  }
}

/**
 * Bundles one entry, and returns esbuild's metafile. An ES module puts what it imports lazily into dist/chunks. A CommonJS entry
 * becomes one file, which evaluates lazy imports only when they are needed: node loads one file faster than many.
 * @param loaded whether src/boot.ts loads the file, rather than node
 */
async function bundle(esbuild, { source, out: name, format = "esm", loaded = false, together = [] }, out) {
  const { outputFiles, metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [{ in: source, out: name }, ...together],
    outdir: out,
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: format === "esm",
    format,
    outExtension: { ".js": format === "esm" ? ".js" : ".cjs" },
    platform: "node",
    target: "node20.19",
    // Without esbuild's own condition "module", with which some packages come as a hundred modules instead of one.
    conditions: [],
    // Code that vm.Script runs cannot use import().
    ...(format === "cjs" ? { supported: { "dynamic-import": false } } : {}),
    external: loaded ? [...EXTERNAL.filter((name) => !PARTS.includes(name)), "./parts/*"] : EXTERNAL,
    ...(loaded && !PARTS.includes(source) ? { alias: Object.fromEntries(PARTS.map((part) => [part, `./parts/${part}.cjs`])) } : {}),
    ...(format === "cjs" ? { banner: { js: 'const __url = require("node:url").pathToFileURL(__filename).href;' } } : {}),
    // Names stay, for readable stack traces. The program, which every start reads, loses its whitespace. The library keeps it,
    // because node prints the line that threw an uncaught error.
    minifyWhitespace: format === "cjs",
    minifySyntax: true,
    legalComments: "none",
    define: {
      "process.env.NODE_ENV": '"production"',
      ...(format === "cjs"
        ? { "import.meta.dirname": "__dirname", "import.meta.filename": "__filename", "import.meta.url": "__url" }
        : {}),
    },
    metafile: true,
    write: false,
    logLevel: "warning",
  });
  for (const { path, text } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, format === "esm" ? withRequire(text) : loaded ? asFunction(text) : text);
    if (text.startsWith("#!")) chmodSync(path, 0o755);
  }
  return metafile;
}

// What compiling with the build brings `exec x -- true`: CPU time in ms on SQLite / on ZooKeeper, medians of 40 interleaved runs.
//   node                            20         22         24
//   bundled, nothing else        92 / 89    91 / 87    96 / 93
//   module.enableCompileCache()     -       78 / 76    82 / 81
//   compiled with the build      67 / 67    66 / 65    70 / 69
//   bench/bare-exec.mjs           - / 80     - / 69     - / 49
//   node -e 0                       20         21         22
// By the clock, `exec` on ZooKeeper takes 0.9, 1.0 and 1.5 times as long as the bare script; without compiled code it takes 1.3, 1.3
// and 1.9 times as long. (Node 24 imports CommonJS much faster, which helps the bare script.) `--version` takes as long as `node -e 0`
// in each row. Code that another version of node compiled brings nothing and costs nothing.
// enableCompileCache() also needs a folder that only this user may write, since node runs what it finds there.
//
// These runs decide which functions are compiled: nearly every start goes through a configuration and one of the stores. Nobody
// listens at ZooKeeper's port here, but that is enough to load the client.
const COMPILED = [
  ["exec", "build", "--coordinator", "sqlite://DIRECTORY/build.db", "--", "true"],
  ["locks", "--coordinator", "sqlite://DIRECTORY/build.db"],
  ["locks", "--coordinator", "mariadb://build@127.0.0.1:1/build"],
  ["locks", "--coordinator", "dynamodb://build?endpoint=http://127.0.0.1:1", "--config", "DIRECTORY/holdline.yaml"],
  ["locks", "--coordinator", "etcd://127.0.0.1:1/build"],
  ["exec", "build", "--coordinator", "redis://127.0.0.1:1", "--", "true"],
  ["run", "--all", "--config", "DIRECTORY/holdline.yaml"],
  ["run", "--all", "--config", "DIRECTORY/holdline.yaml", "--coordinator", "sqlite://DIRECTORY/build.db"],
  ["run", "--all", "--config", "DIRECTORY/holdline.yaml", "--coordinator", "postgresql://127.0.0.1:1/build"],
];

/** Saves the code that node has compiled of the program. Only this version of node can use it. */
function compile(out) {
  const directory = mkdtempSync(join(tmpdir(), "holdline-build-"));
  try {
    const settings = [
      "coordinator: zookeeper://127.0.0.1:1/build",
      `state_dir: ${directory}`,
      "connect_timeout: 50 ms",
      "actions: { build: { command: ['true'], process: { command_string: build } } }",
    ];
    writeFileSync(join(directory, "holdline.yaml"), settings.join("\n"));
    const own = Object.entries(process.env).filter(([name]) => !/^(?:HOLDLINE|AWS)_/.test(name));
    const env = { ...Object.fromEntries(own), AWS_ACCESS_KEY_ID: "build", AWS_SECRET_ACCESS_KEY: "build" };
    for (const words of COMPILED) {
      const argv = words.map((word) => word.replace("DIRECTORY", directory));
      const program = join(root, out, "main.cjs");
      const compiler = [join(root, "scripts/compile.cjs"), program, ...argv];
      const { status, stderr } = spawnSync(process.execPath, compiler, { env: { ...env, HOME: directory }, encoding: "utf8" });
      if (![0, 1, 69].includes(status)) throw new Error(`the program does not run: ${stderr}`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Gives an ES module a `require` if its code asks for one. The `#!` line stays the first. */
function withRequire(text) {
  if (!/\btypeof require\b/.test(text)) return text;
  const shebang = /^#!.*\n/.exec(text)?.[0] ?? "";
  return shebang + REQUIRE + text.slice(shebang.length);
}

/**
 * Wraps a CommonJS module in a function, as node does, for src/boot.ts to compile and call. Makes it ASCII, so that boot.ts need
 * not decode it: esbuild leaves other characters in tagged templates.
 */
function asFunction(text) {
  const ascii = text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `(function (exports, require, module, __filename, __dirname) { ${ascii}\n})`;
}

/** Collects the licences of all bundled packages, which must go with every copy. */
function writeLicenses(metafiles, out) {
  const packages = new Set();
  for (const { inputs } of metafiles) {
    for (const path of Object.keys(inputs)) {
      const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
      if (folder !== undefined) packages.add(folder);
    }
  }
  const sections = [...packages].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    const file = readdirSync(join(root, folder)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    const text = file === undefined ? `Licence: ${String(license)}` : readFileSync(join(root, folder, file), "utf8").trim();
    return `${name} ${version}\n\n${text}\n`;
  });
  writeFileSync(join(root, out, "THIRD-PARTY-LICENSES.txt"), sections.join(`\n${"-".repeat(78)}\n\n`));
}

/** Makes the man page; src/cli/man-page.ts knows how. */
async function writeManPage(esbuild, out) {
  const maker = join(root, out, ".man-page.mjs");
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: ["src/cli/man-page.ts"],
    outfile: maker,
    bundle: true,
    format: "esm",
    platform: "node",
    // The page is made from the table, without the commands' code.
    external: ["./commands/*"],
    packages: "external",
    logLevel: "warning",
  });
  const { manPage } = await import(pathToFileURL(maker).href);
  rmSync(maker);
  // As reproducible-builds.org asks: the same sources make the same page on any day.
  const epoch = process.env.SOURCE_DATE_EPOCH;
  const date = epoch ? new Date(Number(epoch) * 1_000) : new Date();
  mkdirSync(join(root, out, "man"));
  writeFileSync(join(root, out, "man/holdline.1"), manPage(date.toISOString().slice(0, 10)));
}

/** Bundles the files of the server's page for browsers. */
async function writePage(esbuild, out) {
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: [{ in: "src/page/browser/app.ts", out: "app" }, "src/page/style.css", "src/page/icon.svg"],
    outdir: join(out, "page"),
    outbase: "src/page",
    bundle: true,
    format: "esm",
    platform: "browser",
    // Older browsers lack features that the page uses.
    target: ["chrome111", "firefox113", "safari16.4"],
    minify: true,
    loader: { ".svg": "copy" },
    logLevel: "warning",
  });
}

async function declareTypes(out) {
  if (!existsSync(join(root, "src/index.ts"))) return;
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const child = spawn(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", join(out, "types")], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("exit", resolve));
  if (code !== 0) throw new Error("the type declarations could not be made; see the compiler's messages above");
}

if (import.meta.filename === process.argv[1]) {
  try {
    ensurePackages();
    await build({ types: true });
  } catch (error) {
    process.stderr.write(`holdline: the build failed: ${error.message}\n`);
    process.exitCode = 1;
  }
}
