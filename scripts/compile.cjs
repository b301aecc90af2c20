// Runs a built program once and writes down what node has compiled of each of its files: `compile.cjs PROGRAM ARGUMENT…`.
// Run again with other arguments, it adds what those need.
"use strict";
const { writeFileSync } = require("node:fs");
const { resolve } = require("node:path");
const vm = require("node:vm");

const { Script } = vm;
// The program loads its files by this, and hands it what was written down before.
vm.Script = class extends Script {
  constructor(text, options) {
    super(text, options);
    process.once("exit", () => writeFileSync(`${options.filename}.compiled`, this.createCachedData()));
  }
};
const path = resolve(process.argv[2]);
process.argv.splice(1, 2, path);
require(path);
