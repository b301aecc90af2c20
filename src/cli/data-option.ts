// Reads structured data of a command line: YAML, or @ and the name of a YAML file.
import { homedir } from "node:os";
import { readData } from "../config/actions.js";
import { createField } from "../config/field.js";
import { readNamed } from "../config/file.js";
import { absolutePath } from "../config/paths.js";
import { createProblems } from "../config/problems.js";
import { problemInData } from "../leases/data.js";
import { HoldlineError } from "../locks/errors.js";
import type { Invocation } from "./command.js";
import { workingDirectory } from "../working-directory.js";

/**
 * The data that an option gives; `null` if the option was not given.
 * @param name the option's long name
 * @throws HoldlineError `usage` for text that is no YAML, has tags or keys such as `__proto__`, or is too large
 */
export async function readDataOption(options: Invocation["options"], name: string): Promise<unknown> {
  const text = options[name];
  return typeof text === "string" ? parseData(text, `--${name}`) : null;
}

/**
 * Parses data from text or, after a leading "@", from the file that it names.
 * @param by what gave the text, for messages
 * @throws HoldlineError `usage`
 */
export async function parseData(text: string, by: string): Promise<unknown> {
  if (!text.startsWith("@")) return parseDataText(text, by);
  const file = readFile(text.slice(1), by);
  return parseDataText(file.text, file.name);
}

/**
 * Parses data from text.
 * @param name what gave the text, for messages
 * @throws HoldlineError `usage`
 */
export async function parseDataText(text: string, name: string): Promise<unknown> {
  const { parseYaml } = await import("../config/document.js");
  const problems = createProblems();
  const { value, origin } = parseYaml(text, name, problems);
  const field = createField(value, [], origin, problems);
  const data = problems.lines.length > 0 ? null : readData(field);
  const problem = problemInData(data);
  if (problem !== null) field.refuse(problem);
  if (problems.lines.length > 0) throw new HoldlineError("usage", problems.lines.join("\n"));
  return data ?? null;
}

function readFile(name: string, by: string): { readonly name: string; readonly text: string } {
  if (name === "") throw new HoldlineError("usage", `${by}: names no file`, { hint: `write for example ${by} @data.yaml` });
  try {
    const { path, text } = readNamed(absolutePath(name, workingDirectory(), homedir()), by);
    return { name: path, text };
  } catch (error) {
    // The command line named the file, not a configuration.
    if (!(error instanceof HoldlineError) || error.code !== "configuration") throw error;
    throw new HoldlineError("usage", error.message, { hint: `${by} takes YAML, or @ and the name of a file`, cause: error.cause });
  }
}
