// Values of command-line options, read by the same readers as the configuration's but told as usage errors.
import { createField } from "../config/field.js";
import type { Field } from "../config/field.js";
import { createProblems, plainOrigin } from "../config/problems.js";
import { HoldlineError } from "../locks/errors.js";
import type { Invocation } from "./context.js";

/**
 * An option's value; `otherwise` when it was not given.
 * @param name its long name
 * @throws HoldlineError `usage` with what the reader says is wrong
 */
export function readOption<T, D>(
  options: Invocation["options"],
  name: string,
  read: (field: Field) => T | undefined,
  otherwise: D,
): T | D {
  if (options[name] === undefined) return otherwise;
  const problems = createProblems();
  const value = read(createField(options[name], [], plainOrigin(`--${name}`), problems));
  if (problems.lines.length > 0) throw new HoldlineError("usage", problems.lines.join("\n"));
  return value as T;
}
