#!/usr/bin/env node
// The first file that node runs: answers at once what needs no program, and else loads the program together with the code
// that was compiled when it was built, where this is the node that has compiled it. Plain steps in an older module form,
// because each thing that is loaded here is loaded at every start.
import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Script } from "node:vm";
import { VERSION } from "./version.js";

const [, , only, ...others] = process.argv;
if (!(only === "--version" && others.length === 0 && isPrinted(`${VERSION}\n`))) runProgram(join(__dirname, "program.cjs"));

/** The cheapest way to say something. Where it fails the program says it, or why it cannot. */
function isPrinted(text: string): boolean {
  try {
    return writeSync(1, text) === text.length;
  } catch {
    return false;
  }
}

function runProgram(path: string): void {
  // The same as what node puts around a module: the compiled code fits only the very same text.
  const text = `(function (exports, require, module, __filename, __dirname) { ${readFileSync(path, "utf8")}\n})`;
  const cachedData = compiledCode(`${path}.compiled`);
  const script = new Script(text, { filename: path, ...(cachedData === null ? {} : { cachedData }) });
  const module = { exports: {} };
  const run = script.runInThisContext() as (...names: readonly unknown[]) => void;
  run(module.exports, createRequire(path), module, path, dirname(path));
}

/** Another node, or another version of V8, takes no notice of it and compiles anew: V8 compares versions and flags. */
function compiledCode(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}
