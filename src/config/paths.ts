// Paths as people write them in a configuration: `~` and relative ones.
import { isAbsolute, resolve } from "node:path";
import { HoldlineError } from "../locks/errors.js";

/** A path with a leading `~` replaced by the home directory. */
export function expandHome(path: string, homedir: string): string {
  return path === "~" || path.startsWith("~/") ? homedir + path.slice(1) : path;
}

/**
 * An absolute path: `~` is the home directory, and a relative one is taken from `base`.
 * @param base `null`: the working directory, which is gone
 * @throws HoldlineError `configuration` for a relative one where there is nothing to take it from
 */
export function absolutePath(path: string, base: string | null, homedir: string): string {
  return resolveFrom(base, expandHome(path, homedir));
}

/** The same, where `~` is a name as any other. */
export function resolveFrom(base: string | null, path: string): string {
  if (base !== null) return resolve(base, path);
  if (isAbsolute(path)) return resolve(path);
  throw new HoldlineError("configuration", `${JSON.stringify(path)} is a relative path, and the working directory is gone`, {
    hint: "give an absolute path, or change to a directory that is there",
  });
}
