// Paths as people write them in a configuration: `~` and relative ones.
import { resolve } from "node:path";

/** A path with a leading `~` replaced by the home directory. */
export function expandHome(path: string, homedir: string): string {
  return path === "~" || path.startsWith("~/") ? homedir + path.slice(1) : path;
}

/** An absolute path: `~` is the home directory, and a relative one is taken from `base`. */
export function absolutePath(path: string, base: string, homedir: string): string {
  return resolve(base, expandHome(path, homedir));
}
