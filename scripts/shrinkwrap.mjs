// Writes the part of the lock file that an installed package needs as npm-shrinkwrap.json: a packed package includes that file
// and no package-lock.json. It exists only while npm packs, because in a clone npm would prefer it to the lock file.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./packages.mjs";

const path = join(root, "npm-shrinkwrap.json");

if (process.argv[2] === "--remove") rmSync(path, { force: true });
else writeFileSync(path, `${JSON.stringify(shrinkwrap(), null, 2)}\n`);

function shrinkwrap() {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const needed = Object.entries(lock.packages).filter(([, { dev }]) => dev !== true);
  const packages = Object.fromEntries(needed);
  delete packages[""].devDependencies;
  return { ...lock, packages };
}
