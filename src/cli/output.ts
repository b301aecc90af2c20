// Prints results on standard output: lines for people, or exactly one document for programs.
import { HoldlineError, messageOf } from "../locks/errors.js";
import type { Io } from "./io.js";

/** Prints a command's JSON document on one line. */
export function printDocument(io: Io, document: object): void {
  io.stdout.write(`${JSON.stringify(document)}\n`);
}

export function printLines(io: Io, lines: readonly string[]): void {
  io.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

/** The error for output that could not be written: exit code 74. */
export function outputLost(failure: Error, what = "the output"): HoldlineError {
  return new HoldlineError("output-lost", `${what} could not be written to standard output: ${messageOf(failure)}`, {
    cause: failure,
  });
}
