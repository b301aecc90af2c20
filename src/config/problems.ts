// Collects the problems of a configuration, each with its place, and throws them as one error, so that the file's author sees
// all of them at once.
import { HoldlineError } from "../locks/errors.js";
import { quoted, sanitize, shortened } from "../locks/text.js";
import { redactUrlsIn } from "./secrets.js";

/** Where settings come from: a file, an environment variable, or a flag. */
export interface Origin {
  /** The name that people know: a file's path, `HOLDLINE_NODE`, `--coordinator`. */
  readonly name: string;
  /** The line of the value at a path, counted from 1; `null` if the origin has no lines. */
  lineOf(path: readonly string[]): number | null;
  /** How the value at a path was written, such as "1.10" for the number 1.1; `null` if that is not known. */
  writtenAt(path: readonly string[]): string | null;
}

/** An origin without lines: a variable or a flag. */
export function plainOrigin(name: string): Origin {
  return { name, lineOf: () => null, writtenAt: () => null };
}

/** Collects problems. */
export interface Problems {
  add(origin: Origin, path: readonly string[], message: string): void;
  /** One line for each problem, in the order of the file. */
  readonly lines: readonly string[];
  /** @throws HoldlineError `configuration` if there are problems, with one line for each */
  throwIfAny(): void;
}

// Our own messages are shorter; a longer one quotes too much.
const LONGEST_MESSAGE = 400;
const LONGEST_PATH = 200;

// A file that is no configuration can be wrong in thousands of places, and nobody reads those.
const MOST_SHOWN = 50;

export function createProblems(): Problems {
  const found = new Map<string, { readonly origin: string; readonly line: number }>();
  const sorted = () => {
    const origins = [...new Set([...found.values()].map(({ origin }) => origin))];
    const entries = [...found].sort(([, a], [, b]) => origins.indexOf(a.origin) - origins.indexOf(b.origin) || a.line - b.line);
    return entries.map(([text]) => text);
  };
  return {
    add(origin, path, message) {
      const line = origin.lineOf(path);
      const where = sanitize(line === null ? origin.name : `${origin.name}:${line}`);
      // The YAML parser quotes what it complains about, however long.
      const words = shortened(sanitize(redactUrlsIn(message)), LONGEST_MESSAGE);
      const text = path.length === 0 ? `${where}: ${words}` : `${where}: ${formatPath(path)}: ${words}`;
      found.set(text, { origin: origin.name, line: line ?? 0 });
    },
    get lines() {
      return sorted();
    },
    throwIfAny() {
      if (found.size === 0) return;
      const shown = sorted().slice(0, MOST_SHOWN);
      if (found.size > MOST_SHOWN) shown.push(`and ${found.size - MOST_SHOWN} more problems`);
      throw new HoldlineError("configuration", shown.join("\n"));
    },
  };
}

/** Passes problems on, and has only those that it passed on itself: whether one text is right, whatever else is wrong. */
export function countedApart(problems: Problems): Problems {
  const found = createProblems();
  return {
    add(...problem) {
      found.add(...problem);
      problems.add(...problem);
    },
    get lines() {
      return found.lines;
    },
    throwIfAny: () => found.throwIfAny(),
  };
}

/** A key's path for people: `actions.restart-nginx.timeout`. */
export function formatPath(path: readonly string[]): string {
  const keys = path.map((key) => (/^[\p{L}\p{N}_/-]{1,100}$/u.test(key) ? key : quoted(redactUrlsIn(key))));
  return shortened(keys.join("."), LONGEST_PATH);
}

/** A value for a message: short, on one line, without passwords. */
export function shownValue(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return "a map";
  return quoted(redactUrlsIn(value));
}
