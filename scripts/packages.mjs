// Installs the packages that package-lock.json names, if they are not there. Needs only node and npm itself.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of package.json. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** Whether node_modules has the packages of package-lock.json. npm leaves a list of what it installed there. */
export function areInstalled() {
  const installedList = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installedList)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedList, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      path === "" || (installed[path] === undefined ? optional === true : installed[path].version === version),
  );
}

/**
 * Installs the packages if they are missing, and says so on standard error: standard output belongs to the caller.
 * Throws when npm fails; npm's own words stand above then.
 */
export function ensurePackages() {
  if (areInstalled()) return;
  process.stderr.write("holdline: installing the packages that package-lock.json names …\n");
  const { error, status } = spawnSync("npm", ["ci", "--include=dev", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "ignore", 2],
    // npm hands its settings on to the scripts that it runs. The npm that a script runs must start afresh.
    env: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^npm_(config_(omit|production|only)|lifecycle_|package_)/.test(name)),
    ),
    shell: process.platform === "win32",
  });
  if (error !== undefined) throw new Error(`npm could not be started: ${error.message}`);
  if (status !== 0) throw new Error(`"npm ci" failed (exit code ${status}); what it said stands above`);
}
