// The first file that node runs uses the code that the build compiled, and does without if that does not fit.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PROGRAM } from "./e2e/fleet.js";
import { freshDirectory } from "./support/roots.js";

/** Runs the program at `main`, and says of each file whether node refused its compiled code. */
async function takes(main: string, ...argv: readonly string[]): Promise<string> {
  const folder = await freshDirectory();
  const hook = join(folder, "hook.cjs");
  writeFileSync(
    hook,
    `const vm = require("node:vm"); const { Script } = vm;
     vm.Script = function (text, options) {
       const script = new Script(text, options);
       const file = require("node:path").basename(options.filename);
       process.once("exit", () => console.error("refused: " + file + " " + script.cachedDataRejected));
       return script;
     };`,
  );
  const command = `'${process.execPath}' --require '${hook}' '${main}' ${argv.join(" ")} 2>&1 >'${join(folder, "said")}'`;
  const stderr = execFileSync("/bin/sh", ["-c", command], { encoding: "utf8" });
  if (argv[0] === "--help") expect(readFileSync(join(folder, "said"), "utf8")).toContain("Usage: holdline");
  return stderr.replaceAll("refused: ", "").trim().split("\n").sort().join(", ");
}

test("the code that was compiled with the build is taken", async () => {
  expect(await takes(PROGRAM, "--help")).toBe("program.cjs false");
  const folder = await freshDirectory();
  const config = join(folder, "holdline.yaml");
  writeFileSync(config, `coordinator: sqlite://${folder}/locks.db\nstate_dir: ${folder}\n`);
  // With the database there, no run has anything to log.
  execFileSync(process.execPath, [PROGRAM, "exec", "made", "--config", config, "--", "true"], { stdio: "ignore" });
  // Parts that only some runs need come from files of their own.
  expect(await takes(PROGRAM, "locks", "--config", config)).toBe("libsql.cjs false, program.cjs false, yaml.cjs false");
});

test("compiled code that does not fit is refused, and the program runs all the same", async () => {
  const folder = join(await freshDirectory(), "dist");
  mkdirSync(folder);
  for (const file of ["main.cjs", "program.cjs"]) copyFileSync(join(PROGRAM, "..", file), join(folder, file));
  const main = join(folder, "main.cjs");
  expect(await takes(main, "--help")).toBe("program.cjs undefined");
  writeFileSync(join(folder, "program.cjs.compiled"), "of another node");
  expect(await takes(main, "--help")).toBe("program.cjs true");
});
