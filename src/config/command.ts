// Reads commands of a configuration (a list that runs as it is, or text for the shell) and their environment.
import { readMap, readText } from "./field.js";
import type { Field } from "./field.js";
import { shownValue } from "./problems.js";

const EXAMPLE = "write for example [systemctl, restart, nginx.service]";

/** Whether there is a `command` or a `shell`. */
export function isGivenCommand(keys: ReadonlyMap<string, Field>): boolean {
  return keys.has("command") || keys.has("shell");
}

/**
 * The program and its arguments, from either `command` or `shell`.
 * @param fallback what counts without either; by default one of them has to be there
 */
export function readArgv(
  parent: Field,
  keys: ReadonlyMap<string, Field>,
  fallback?: readonly string[],
): readonly string[] | undefined {
  const command = keys.get("command");
  const shell = keys.get("shell");
  if (command !== undefined && shell !== undefined) return shell.refuse("both `command` and `shell` are given: leave one out");
  if (command !== undefined) return readCommand(command);
  if (shell === undefined && fallback !== undefined) return fallback;
  if (shell === undefined) return parent.refuse("needs a `command` (a list, no shell) or a `shell` (a text for /bin/sh -c)");
  const text = readText(shell);
  if (text?.trim() === "") return shell.refuse("must not be empty");
  return text === undefined ? undefined : ["/bin/sh", "-c", text];
}

function readCommand(field: Field): readonly string[] | undefined {
  if (typeof field.value === "string")
    return field.refuse(`must be a list, because no shell splits the text; ${EXAMPLE}, or \`shell\` instead`);
  if (!Array.isArray(field.value)) return field.refuse(`must be a list, not ${shownValue(field.value)}; ${EXAMPLE}`);
  if (field.value.length === 0) return field.refuse(`must not be empty; ${EXAMPLE}`);
  const argv = field.value.map((value: unknown, index) => readText(field.child(String(index), value)));
  if (argv[0]?.trim() === "") return field.refuse("must begin with the name of a program, but the first item is empty");
  return argv.includes(undefined) ? undefined : (argv as string[]);
}

/** Variables and their values. Numbers and booleans become text, as they were written. */
export function readEnvironment(field: Field): Readonly<Record<string, string>> | undefined {
  const variables = readMap(field);
  if (variables === undefined) return undefined;
  const env: [string, string][] = [];
  for (const [name, child] of variables) {
    const value = /^[^=\0]+$/.test(name) ? readText(child) : child.refuse('a variable\'s name must not be empty or have "=" in it');
    if (value !== undefined) env.push([name, value]);
  }
  // fromEntries makes own properties, whatever their names.
  return env.length === variables.size ? Object.fromEntries(env) : undefined;
}
