// Bundles a TypeScript program of this repository and runs it, with this process's arguments and its exit code.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ensurePackages, root } from "./packages.mjs";

/** @param source the program's path in the repository */
export async function runSource(source) {
  ensurePackages();
  const { build } = await import("esbuild");
  // Below node_modules, so that packages that are not bundled are found. Each process has a file of its own, because others may run too.
  const program = join(root, `node_modules/.cache/holdline-programs/${process.pid}/main.mjs`);
  await build({
    absWorkingDir: root,
    entryPoints: [source],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
  const child = spawn(process.execPath, [program, ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
  process.exitCode = await new Promise((resolve, reject) => child.once("error", reject).once("exit", (code) => resolve(code ?? 1)));
}
