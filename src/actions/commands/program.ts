// Finds the program that a command names, as the system would when it starts it. So a command that cannot start is found out
// before anything happens, with a message that says why.
import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from "node:fs";
import { basename, isAbsolute, join, resolve } from "node:path";

/** Where the program is, or why it cannot be started. */
export type Program = { readonly path: string } | { readonly problem: string };

// execvp(3) searches these when there is no PATH at all.
const DEFAULT_PATH = "/bin:/usr/bin";
// Nothing can be below this.
const NOWHERE = "/dev/null";

/**
 * @param name the first word of a command: a path when it has a slash, else a name to look up in `path`
 * @param cwd where the command will run, and where relative paths begin; `null` where this process's own directory is gone
 * @param path the command's own PATH
 */
export function findProgram(name: string | undefined, cwd: string | null, path: string | undefined): Program {
  if (name === undefined || name === "") return { problem: "the command is empty" };
  const problem = cwd === null ? null : problemOfDirectory(cwd);
  if (problem !== null) return { problem };
  if (cwd === null && name.includes("/") && !isAbsolute(name))
    return { problem: `${JSON.stringify(name)} is a relative path, and the working directory is gone` };
  // A directory that is gone has nothing below it.
  const base = cwd ?? NOWHERE;
  const program = name.includes("/") ? programAt(name, resolve(base, name)) : programInPath(name, base, path ?? DEFAULT_PATH);
  if ("problem" in program || !beginsForWindows(program.path)) return program;
  return {
    problem: `${JSON.stringify(program.path)} is a script with the line ends of Windows (CRLF), so that the interpreter of its first line is not found: save it with LF`,
  };
}

function problemOfDirectory(cwd: string): string | null {
  const place = JSON.stringify(cwd);
  switch (kindOf(cwd)) {
    case "nothing":
      return `the working directory ${place} does not exist`;
    case "directory":
      return mayExecute(cwd) ? null : `the working directory ${place} may not be entered`;
    default:
      return `the working directory ${place} is no directory`;
  }
}

function programAt(name: string, path: string): Program {
  const shown = JSON.stringify(name);
  switch (kindOf(path)) {
    case "nothing":
      return { problem: `${shown} does not exist` };
    case "directory":
      return { problem: `${shown} is a directory` };
    default:
      return mayExecute(path) ? { path } : { problem: `${shown} is not executable` };
  }
}

function programInPath(name: string, cwd: string, path: string): Program {
  let refused: string | null = null;
  // An empty entry means the working directory.
  for (const directory of path.split(":")) {
    const candidate = join(resolve(cwd, directory), name);
    if (kindOf(candidate) !== "file") continue;
    if (mayExecute(candidate)) return { path: candidate };
    refused ??= candidate;
  }
  const shown = JSON.stringify(name);
  if (refused !== null) return { problem: `${shown} was found in PATH, but ${JSON.stringify(refused)} is not executable` };
  return { problem: `${shown} was not found in PATH` };
}

// The kernel reads no more of a first line.
const LONGEST_FIRST_LINE = 256;

/** Whether a script's first line fails to name an interpreter only because of the carriage return at its end. */
function beginsForWindows(path: string): boolean {
  const [, interpreter, argument] = /^#![ \t]*(\S+)(?:[ \t]+([^\n]*?))?\r\n/.exec(beginningOf(path)) ?? [];
  if (interpreter === undefined) return false;
  // After an argument, the carriage return counts as part of the argument. Only of env(1) do we know that this fails.
  return argument === undefined ? !existsSync(`${interpreter}\r`) : basename(interpreter) === "env";
}

function beginningOf(path: string): string {
  const bytes = Buffer.alloc(LONGEST_FIRST_LINE);
  try {
    const file = openSync(path, "r");
    try {
      return bytes.toString("latin1", 0, readSync(file, bytes));
    } finally {
      closeSync(file);
    }
  } catch {
    return ""; // A program may be executable and not readable.
  }
}

function kindOf(path: string): "nothing" | "directory" | "file" {
  try {
    return statSync(path).isDirectory() ? "directory" : "file";
  } catch {
    // What this process cannot look at, it cannot start either.
    return "nothing";
  }
}

function mayExecute(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
