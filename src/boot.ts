#!/usr/bin/env node
// The first file that node runs. Answers `--version` itself; otherwise loads the program, with the code that the build compiled if
// this node can use it. scripts/build.mjs has the figures. Every start loads all of this file, so it imports little, and the build
// makes it CommonJS, which node loads faster.
import { readFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { Script } from "node:vm";
import { titleWithoutPasswords } from "./title.js";
import { VERSION } from "./version.js";

// Comes first: until then every user can read the command line as it was given.
const title = process.argv.some((word) => word.includes("@") || word.includes("://")) ? titleWithoutPasswords(process.argv) : null;
if (title !== null) process.title = title;

const [, , only, ...others] = process.argv;
if (!(only === "--version" && others.length === 0 && isPrinted(`${VERSION}\n`))) loader()(join(__dirname, "program.cjs"));

/** Prints in the cheapest way. If that fails, the program prints the version, or says why it cannot. */
function isPrinted(text: string): boolean {
  try {
    return writeSync(1, text) === text.length;
  } catch {
    return false;
  }
}

/** Loads the program's files, each once. Files ask for each other by relative paths; node finds everything else. */
function loader(): (path: string) => unknown {
  const loaded = new Map<string, unknown>();
  return function load(path) {
    const find = (name: string) => (name.startsWith("./") ? load(join(dirname(path), name)) : findOutside(name));
    if (!loaded.has(path)) loaded.set(path, evaluate(path, find));
    return loaded.get(path);
  };
}

function findOutside(name: string): unknown {
  const outside = require;
  try {
    return outside(name);
  } catch (error) {
    // The native half of SQLite's driver: some package managers put it where only the driver, which is bundled, would find it.
    if (!name.startsWith("@libsql/")) throw error;
    return outside(outside.resolve(name, { paths: [outside.resolve("libsql")] }));
  }
}

/** Runs a file that the build has wrapped in a function, as node wraps every CommonJS module, and returns its exports. */
function evaluate(path: string, require: (name: string) => unknown): unknown {
  // The build makes the file ASCII. Reading it as Latin-1 skips decoding.
  const text = readFileSync(path, "latin1");
  const cachedData = compiledCode(`${path}.compiled`);
  const script = new Script(text, { filename: path, ...(cachedData === null ? {} : { cachedData }) });
  const module = { exports: {} };
  const run = script.runInThisContext() as (...names: readonly unknown[]) => void;
  run(module.exports, require, module, path, dirname(path));
  return module.exports;
}

/** The code that the build compiled. V8 compares versions and flags, and compiles anew if they differ. */
function compiledCode(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}
