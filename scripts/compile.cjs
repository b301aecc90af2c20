// Runs a built program once, as src/boot.ts does, and writes down what node has compiled of it: `compile.cjs PROGRAM ARGUMENT…`.
// Run again with other arguments, it adds what those need.
"use strict";
const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { dirname, resolve } = require("node:path");
const { Script } = require("node:vm");

const path = resolve(process.argv[2]);
process.argv.splice(1, 2, path);
const compiled = `${path}.compiled`;
const text = `(function (exports, require, module, __filename, __dirname) { ${readFileSync(path, "utf8")}\n})`;
const cachedData = existsSync(compiled) ? readFileSync(compiled) : undefined;
const script = new Script(text, { filename: path, cachedData });
process.once("exit", () => writeFileSync(compiled, script.createCachedData()));
const module_ = { exports: {} };
script.runInThisContext()(module_.exports, createRequire(path), module_, path, dirname(path));
