// The first file that node runs: what was compiled when the program was built is taken by it, and is only ever a help.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PROGRAM } from "./e2e/fleet.js";
import { freshDirectory } from "./support/roots.js";

/** Runs the program at `main` with a `Script` that says whether node took the compiled code. */
async function takes(main: string): Promise<string> {
  const hook = join(await freshDirectory(), "hook.cjs");
  writeFileSync(
    hook,
    `const vm = require("node:vm"); const { Script } = vm;
     vm.Script = function (text, options) {
       const script = new Script(text, options);
       process.once("exit", () => console.error("refused: " + script.cachedDataRejected));
       return script;
     };`,
  );
  const { stderr } = spawnHelp(hook, main);
  return /refused: \S+/.exec(stderr)?.[0] ?? stderr;
}

function spawnHelp(hook: string, main: string): { readonly stderr: string } {
  const command = `'${process.execPath}' --require '${hook}' '${main}' --help 2>&1 >'${join(hook, "../help")}'`;
  const stderr = execFileSync("/bin/sh", ["-c", command], { encoding: "utf8" });
  expect(readFileSync(join(hook, "../help"), "utf8")).toContain("Usage: holdline");
  return { stderr };
}

test("the code that was compiled with the build is taken", async () => {
  expect(await takes(PROGRAM)).toBe("refused: false");
});

test("compiled code that does not fit is refused, and the program runs all the same", async () => {
  const folder = join(await freshDirectory(), "dist");
  mkdirSync(folder);
  for (const file of ["main.cjs", "program.cjs"]) copyFileSync(join(PROGRAM, "..", file), join(folder, file));
  const main = join(folder, "main.cjs");
  expect(await takes(main)).toBe("refused: undefined");
  writeFileSync(join(folder, "program.cjs.compiled"), "of another node");
  expect(await takes(main)).toBe("refused: true");
});
