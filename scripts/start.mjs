// `npm start`: installs and builds if needed. Without arguments it then shows what Holdline does. With arguments it is the
// program itself, with the program's exit code, and prints nothing of its own on standard output.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureBuilt } from "./build.mjs";
import { root } from "./packages.mjs";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`holdline: Node.js 20.19 or later is needed, and this is ${process.versions.node}\n`);
  process.exit(1);
}

try {
  await ensureBuilt();
} catch (error) {
  process.stderr.write(`holdline: ${error.message}\n`);
  process.exit(1);
}

if (process.argv.length > 2) {
  // npm runs scripts in the package's folder. Relative paths among the arguments are relative to the caller's folder.
  if (process.env.npm_lifecycle_event === "start" && process.env.INIT_CWD !== undefined) process.chdir(process.env.INIT_CWD);
  const main = join(root, "dist/main.cjs");
  process.argv[1] = main;
  await import(pathToFileURL(main).href);
} else {
  const { showQuickstart } = await import("./quickstart.mjs");
  process.exitCode = await showQuickstart();
}
