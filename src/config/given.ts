// A single value that somebody gives now and here, on a command line or in a request, read by the same readers as the
// configuration's but told as a usage error.
import { HoldlineError } from "../locks/errors.js";
import { createField } from "./field.js";
import type { Field } from "./field.js";
import { createProblems, plainOrigin } from "./problems.js";

/**
 * A value that was given.
 * @param name what gave it, for messages: `--ttl`
 * @throws HoldlineError `usage` with what the reader says is wrong
 */
export function readGiven<T>(value: unknown, name: string, read: (field: Field) => T | undefined): T {
  const problems = createProblems();
  const given = read(createField(value, [], plainOrigin(name), problems));
  if (problems.lines.length > 0) throw new HoldlineError("usage", problems.lines.join("\n"));
  return given as T;
}
