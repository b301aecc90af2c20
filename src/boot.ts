#!/usr/bin/env node
// The first file that node runs: answers at once what needs no program, and else loads the program together with the code
// that was compiled when it was built, where this is the node that has compiled it. Plain steps in an older module form,
// because each thing that is loaded here is loaded at every start.
import { readFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { Script } from "node:vm";
import { titleWithoutPasswords } from "./title.js";
import { VERSION } from "./version.js";

// Before anything that takes time: until then the command line can be read as it was given.
const title = process.argv.some((word) => word.includes("@") || word.includes("://")) ? titleWithoutPasswords(process.argv) : null;
if (title !== null) process.title = title;

const [, , only, ...others] = process.argv;
if (!(only === "--version" && others.length === 0 && isPrinted(`${VERSION}\n`))) loader()(join(__dirname, "program.cjs"));

/** The cheapest way to say something. Where it fails the program says it, or why it cannot. */
function isPrinted(text: string): boolean {
  try {
    return writeSync(1, text) === text.length;
  } catch {
    return false;
  }
}

/** Loads the program's files, each once. What is asked for by a relative path is one of them, all else is node's to find. */
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
    // The native half of SQLite's driver, whose other half is bundled: some package managers put it where only the driver sees it.
    if (!name.startsWith("@libsql/")) throw error;
    return outside(outside.resolve(name, { paths: [outside.resolve("libsql")] }));
  }
}

/** What a file exports that the build has made a function of, which takes what node hands to every module. */
function evaluate(path: string, require: (name: string) => unknown): unknown {
  // All of it is ASCII, as the build sees to: read as Latin-1 it is taken as it is, with nothing to decode.
  const text = readFileSync(path, "latin1");
  const cachedData = compiledCode(`${path}.compiled`);
  const script = new Script(text, { filename: path, ...(cachedData === null ? {} : { cachedData }) });
  const module = { exports: {} };
  const run = script.runInThisContext() as (...names: readonly unknown[]) => void;
  run(module.exports, require, module, path, dirname(path));
  return module.exports;
}

/** Another node, or another version of V8, takes no notice of it and compiles anew: V8 compares versions and flags. */
function compiledCode(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}
