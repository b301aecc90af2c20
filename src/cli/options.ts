// Reads the values of command-line options.
import type { Field } from "../config/field.js";
import { readGiven } from "../config/given.js";
import type { Invocation } from "./command.js";

/**
 * An option's value, or `fallback` if the option was not given.
 * @param name the option's long name
 * @throws HoldlineError `usage` with what the reader refuses
 */
export function readOption<T, D>(
  options: Invocation["options"],
  name: string,
  read: (field: Field) => T | undefined,
  fallback: D,
): T | D {
  return options[name] === undefined ? fallback : readGiven(options[name], `--${name}`, read);
}
