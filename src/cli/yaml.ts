// Structured data as YAML. To be imported only where some is printed: the package takes long to load.
import { stringify } from "yaml";
import type { Io } from "./io.js";
import { sanitize } from "./render.js";

/** Data as one YAML document on standard output. */
export function printYaml({ stdout }: Io, data: unknown): void {
  // Quoted so that readers of YAML 1.1 understand it the same way, and never broken into lines where there was no break.
  const text = stringify(data, { compat: "yaml-1.1", lineWidth: 0, aliasDuplicateObjects: false });
  stdout.write(stdout.isTerminal ? text.split("\n").map(sanitize).join("\n") : text);
}
