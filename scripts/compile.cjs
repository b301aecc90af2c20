// Runs a built program once and saves the code that node has compiled of each of its files: `compile.cjs PROGRAM ARGUMENT…`.
// Another run with other arguments adds the code that those need. build.mjs has the figures.
"use strict";
const { writeFileSync } = require("node:fs");
const { resolve } = require("node:path");
const vm = require("node:vm");

const { Script } = vm;
// The program's loader, src/boot.ts, makes every file a Script, and gives it the code that earlier runs saved.
vm.Script = class extends Script {
  constructor(text, options) {
    super(text, options);
    process.once("exit", () => writeFileSync(`${options.filename}.compiled`, this.createCachedData()));
  }
};
const path = resolve(process.argv[2]);
process.argv.splice(1, 2, path);
require(path);
