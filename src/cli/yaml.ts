// Prints structured data as YAML. Import it only to print some: the package takes long to load.
import { stringify } from "yaml";
import type { Io } from "./io.js";
import { sanitize } from "./render.js";

/** Prints data as one YAML document on standard output. */
export function printYaml({ stdout }: Io, data: unknown): void {
  // With quotes where readers of YAML 1.1 need them, and without line breaks of its own.
  const text = stringify(data, { compat: "yaml-1.1", lineWidth: 0, aliasDuplicateObjects: false });
  stdout.write(stdout.isTerminal ? text.split("\n").map(sanitize).join("\n") : text);
}
