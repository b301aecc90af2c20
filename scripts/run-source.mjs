// Bundles a TypeScript program of this repository and runs it, with this process's arguments and its exit code.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ensurePackages, root } from "./packages.mjs";

/** @param source the program's path in the repository */
export async function runSource(source) {
  ensurePackages();
  const { build } = await import("esbuild");
  // Below node_modules, where what is not bundled is found; a file of this process's own, because others may run as well.
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
