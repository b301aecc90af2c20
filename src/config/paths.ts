// Makes paths absolute as people write them in a configuration: relative ones, and those with `~`.
import { isAbsolute, resolve } from "node:path";
import { HoldlineError } from "../locks/errors.js";

/** A path with a leading `~` replaced by the home directory. */
export function expandHome(path: string, homedir: string): string {
  return path === "~" || path.startsWith("~/") ? homedir + path.slice(1) : path;
}

/**
 * An absolute path: `~` is the home directory, and a relative path starts at `base`.
 * @param base `null` if the working directory is gone
 * @throws HoldlineError `configuration` for a relative path without a base
 */
export function absolutePath(path: string, base: string | null, homedir: string): string {
  return resolveFrom(base, expandHome(path, homedir));
}

/** The same, but `~` is a name like any other. */
export function resolveFrom(base: string | null, path: string): string {
  if (base !== null) return resolve(base, path);
  if (isAbsolute(path)) return resolve(path);
  throw new HoldlineError("configuration", `${JSON.stringify(path)} is a relative path, and the working directory is gone`, {
    hint: "give an absolute path, or change to an existing directory",
  });
}
