// Reads a single value of a command line or a request with the configuration's readers, and reports what is wrong with it as a
// usage error.
import { HoldlineError } from "../locks/errors.js";
import { createField } from "./field.js";
import type { Field } from "./field.js";
import { createProblems, plainOrigin } from "./problems.js";

/**
 * Reads a value.
 * @param name what gave it, for messages: `--ttl`
 * @throws HoldlineError `usage` with what the reader says is wrong
 */
export function readGiven<T>(value: unknown, name: string, read: (field: Field) => T | undefined): T {
  const problems = createProblems();
  const given = read(createField(value, [], plainOrigin(name), problems));
  if (problems.lines.length > 0) throw new HoldlineError("usage", problems.lines.join("\n"));
  return given as T;
}
