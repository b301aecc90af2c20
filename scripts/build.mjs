// Builds dist/: the program, its man page, the library with its types, and the benchmark. Also knows whether a build is up to date.
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

// The suite that stores are held to is bundled with the library: what one of them throws the other has to know.
const SUITE = [
  { in: "src/conformance/index.ts", out: "conformance" },
  { in: "src/conformance/contender.ts", out: "conformance-contender" },
];

// Bundled one by one rather than together: a chunk that two entries share is one more file to load at each start.
const ENTRIES = [
  { source: "src/boot.ts", out: "main", format: "cjs" },
  { source: "src/main.ts", out: "program", format: "cjs", loaded: true },
  { source: "src/index.ts", out: "index", together: SUITE },
  { source: "bench/driver.ts", out: "bench/driver" },
  { source: "bench/run.ts", out: "bench/run" },
  { source: "bench/http.ts", out: "bench/http" },
];

// Packages that the program needs only at times are files of their own beside it: a file costs something at each start by
// what there is in it, be it run or not. Of SQLite's driver the native half stays where it is: it is the one thing that an
// installed package gets from a registry, because all else could be of another version there than the tests have run with.
const PARTS = ["@fastify/swagger", "execa", "fastify", "libsql", "pino", "prom-client", "re2js", "yaml"];

// Native packages stay outside of the other bundles, and so does the test's server harness with what it would drag in.
const EXTERNAL = ["libsql", "testcontainers", "vitest"];

// Packages in the older module form ask for node's own modules by `require`, which a bundle in the newer form lacks.
const REQUIRE =
  'import { createRequire as __createRequire } from "node:module";\nconst require = __createRequire(import.meta.url);\n';

/** Says in one line from what the sources are: path, size and time of change of each. A few milliseconds. */
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

/** Was dist/ built from the sources as they are now? */
export function isBuilt() {
  const stamp = join(root, STAMP);
  return existsSync(stamp) && existsSync(join(root, "node_modules/libsql")) && readFileSync(stamp, "utf8") === fingerprint();
}

/** Builds dist/ where it is not there or older than the sources; says so on standard error. */
export async function ensureBuilt() {
  if (isBuilt()) return;
  ensurePackages();
  process.stderr.write("holdline: building …\n");
  await build({ types: false });
}

/**
 * Builds into a folder of its own and then puts that in the place of dist/, so that nobody ever runs half a build.
 * @param types also the library's type declarations, which take seconds and which running the program does not need
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
      throw new Error("the sources could not be bundled; what the bundler said stands above");
    });
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

/** Puts a finished build in the place of dist/, although another build may do the same at this moment. */
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
 * Bundles one entry. In the newer module form, what it imports only at times goes to dist/chunks; in the older one, all is
 * one file in which that is evaluated only at times: node loads one file faster than many. Gives esbuild's account of it.
 * @param loaded it is not node that loads it, but src/boot.ts
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
    // Not the bundler's own one, by which some packages come in a hundred modules instead of one.
    conditions: [],
    // What was compiled before can only be loaded by means that know no imports of that form.
    ...(format === "cjs" ? { supported: { "dynamic-import": false } } : {}),
    external: loaded ? [...EXTERNAL.filter((name) => !PARTS.includes(name)), "./parts/*"] : EXTERNAL,
    ...(loaded && !PARTS.includes(source) ? { alias: Object.fromEntries(PARTS.map((part) => [part, `./parts/${part}.cjs`])) } : {}),
    ...(format === "cjs" ? { banner: { js: 'const __url = require("node:url").pathToFileURL(__filename).href;' } } : {}),
    // Names stay, for stack traces that can be read; blanks and comments go from the program, which node reads at each start.
    // Of the library node prints the line that threw an error which nobody has caught.
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

// What a program goes through at nearly every start: with a configuration, and with each kind of store. Nobody listens at
// the port of ZooKeeper's, which is enough to have its client loaded.
const COMPILED = [
  ["exec", "build", "--coordinator", "sqlite://DIRECTORY/build.db", "--", "true"],
  ["locks", "--coordinator", "sqlite://DIRECTORY/build.db"],
  ["run", "--all", "--config", "DIRECTORY/holdline.yaml"],
  ["run", "--all", "--config", "DIRECTORY/holdline.yaml", "--coordinator", "sqlite://DIRECTORY/build.db"],
];

/** Writes down what node has compiled of the program, for this very version of node. */
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
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HOLDLINE_")));
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

/** Gives a file the older form's `require` where it asks for it; the `#!` line stays the first. */
function withRequire(text) {
  if (!/\btypeof require\b/.test(text)) return text;
  const shebang = /^#!.*\n/.exec(text)?.[0] ?? "";
  return shebang + REQUIRE + text.slice(shebang.length);
}

/**
 * A module of the older form as the function that node would make of it, for src/boot.ts to compile and call; in ASCII, so
 * that it need not be decoded. The bundler leaves other characters only in the marked templates that markup is made with.
 */
function asFunction(text) {
  const ascii = text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `(function (exports, require, module, __filename, __dirname) { ${ascii}\n})`;
}

/** The licences of all that was bundled, which ask to go with every copy. */
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

/** The man page, which the sources make out of the tables of commands, settings and exit codes. */
async function writeManPage(esbuild, out) {
  const maker = join(root, out, ".man-page.mjs");
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: ["src/cli/man-page.ts"],
    outfile: maker,
    bundle: true,
    format: "esm",
    platform: "node",
    // The commands themselves are not asked.
    external: ["./commands/*"],
    packages: "external",
    logLevel: "warning",
  });
  const { manPage } = await import(pathToFileURL(maker).href);
  rmSync(maker);
  // As reproducible-builds.org asks: the same sources make the same page, on whatever day.
  const epoch = process.env.SOURCE_DATE_EPOCH;
  const date = epoch ? new Date(Number(epoch) * 1_000) : new Date();
  mkdirSync(join(root, out, "man"));
  writeFileSync(join(root, out, "man/holdline.1"), manPage(date.toISOString().slice(0, 10)));
}

/** What the server's page is made with in a browser, each file on its own. */
async function writePage(esbuild, out) {
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: [{ in: "src/page/browser/app.ts", out: "app" }, "src/page/style.css", "src/page/icon.svg"],
    outdir: join(out, "page"),
    outbase: "src/page",
    bundle: true,
    format: "esm",
    platform: "browser",
    // Browsers of the last few years; none older has what the page is made of.
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
  if (code !== 0) throw new Error("the type declarations could not be made; what the compiler said stands above");
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
