// Where the package of a plug-in is looked for: beside Holdline, as node looks for packages, and in the folders that a variable names.
import { existsSync, readFileSync } from "node:fs";
import { basename, delimiter, dirname, isAbsolute, join } from "node:path";
import { isObject } from "../locks/claim.js";

/** Folders with plug-ins, or that are one, beside the neighbourhood of Holdline itself. */
const VARIABLE = "HOLDLINE_PLUGINS";

// npm takes no longer names.
const LONGEST_SCHEME = 190;

export function packageFor(scheme: string): string {
  return `holdline-coordinator-${scheme}`;
}

/** The folder of the package for a scheme; `null` where there is none. */
export function findPlugIn(scheme: string): string | null {
  if (!/^[a-z][a-z0-9+.-]*$/.test(scheme) || scheme.length > LONGEST_SCHEME) return null;
  return placesFor(packageFor(scheme)).find((folder) => existsSync(join(folder, "package.json"))) ?? null;
}

/** Where a package is looked for, in words. */
export function whereLooked(): string {
  const folders = foldersNamed();
  const named = folders.length === 0 ? `$${VARIABLE}, which names no folder` : `$${VARIABLE} (${folders.join(", ")})`;
  return `beside Holdline (from ${import.meta.dirname} upwards), and in ${named}`;
}

function foldersNamed(): readonly string[] {
  return (process.env[VARIABLE] ?? "").split(delimiter).filter((folder) => isAbsolute(folder));
}

function placesFor(name: string): readonly string[] {
  const named = foldersNamed().flatMap((folder) => {
    const isIt = nameIn(folder) === name;
    return [...(isIt ? [folder] : []), join(folder, name), join(folder, "node_modules", name)];
  });
  const beside: string[] = [];
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    // As node looks for packages: those of a global installation stand beside this one.
    beside.push(basename(folder) === "node_modules" ? join(folder, name) : join(folder, "node_modules", name));
    if (dirname(folder) === folder) return [...named, ...beside];
  }
}

function nameIn(folder: string): unknown {
  try {
    const description: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return isObject(description) ? description["name"] : null;
  } catch {
    // It is no package.
    return null;
  }
}
