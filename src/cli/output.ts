// Results on standard output: lines for people, or exactly one document for programs.
import type { Io } from "./io.js";

/** The one JSON document of a command, on one line. */
export function printDocument(io: Io, document: object): void {
  io.stdout.write(`${JSON.stringify(document)}\n`);
}

export function printLines(io: Io, lines: readonly string[]): void {
  io.stdout.write(lines.map((line) => `${line}\n`).join(""));
}
