// Finds and reads the configuration file. A named file must exist. A file in the usual places may be missing, but if it is there
// it must be readable: a node that cannot read its configuration must not run without it.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { sanitize, shortened } from "../locks/text.js";
import { absolutePath } from "./paths.js";
import { searchPath } from "./surroundings.js";
import type { Surroundings } from "./surroundings.js";
import { whyNotTrusted } from "./trust.js";

export interface ConfigText {
  readonly path: string;
  readonly text: string;
}

/** The file that was found, and those that may not be used. */
export interface Found {
  /** `null` when there is none. */
  readonly config: ConfigText | null;
  /** Warnings: which files were passed over, and why. */
  readonly passedOver: readonly string[];
}

/**
 * Finds the configuration file.
 * @param named the name that `--config` gives; without one, `$HOLDLINE_CONFIG` may give it
 * @throws HoldlineError `configuration`
 */
export function findConfig(named: string | null, surroundings: Surroundings): Found {
  const variable = surroundings.env["HOLDLINE_CONFIG"];
  if (named !== null) return found(readNamed(absoluteIn(named, "--config", surroundings), "--config"));
  // A shell unsets a variable for one command by making it empty.
  if (variable !== undefined && variable !== "")
    return found(readNamed(absoluteIn(variable, "HOLDLINE_CONFIG", surroundings), "HOLDLINE_CONFIG"));
  const passedOver: string[] = [];
  for (const { path, trust } of searchPath(surroundings)) {
    const why = whyNotTrusted(path, trust, surroundings.uid);
    if (why !== null) {
      passedOver.push(`${shownPath(path)} is not used: ${why}; to use it anyway, name it with --config`);
      continue;
    }
    const text = readConfig(path);
    if (text !== null) return found({ path, text }, passedOver);
  }
  return found(null, passedOver);
}

function found(config: ConfigText | null, passedOver: readonly string[] = []): Found {
  return { config, passedOver };
}

function absoluteIn(name: string, by: string, { cwd, homedir }: Surroundings): string {
  if (name === "") throw new HoldlineError("configuration", `${by}: names no file`);
  return absolutePath(name, cwd, homedir);
}

/**
 * Reads a file that somebody named, so that it must exist.
 * @param path an absolute path
 * @param by what names it, for messages
 * @throws HoldlineError `configuration`
 */
export function readNamed(path: string, by: string): ConfigText {
  const text = readConfig(path);
  if (text !== null) return { path, text };
  throw new HoldlineError("configuration", `${shownPath(path)}: there is no such file (named by ${by})`, {
    hint: "name an existing file, or none to run with the defaults",
  });
}

const REASONS: ReadonlyMap<string | undefined, string> = new Map([
  ["EACCES", "this user may not read it"],
  ["EPERM", "this user may not read it"],
  ["ENAMETOOLONG", "no file has so long a name"],
]);

// A longer text is hardly a path; rather somebody gave the file's contents.
const LONGEST_SHOWN = 500;

function shownPath(path: string): string {
  return shortened(sanitize(path), LONGEST_SHOWN);
}

// A configuration has a few kilobytes. The bound protects against a log or a device.
const LARGEST_BYTES = 1_048_576;
const PIECE_BYTES = 16_384;

function readConfig(path: string): string | null {
  let bytes: Buffer;
  try {
    bytes = readBytes(path);
  } catch (error) {
    if (error instanceof HoldlineError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    const why = REASONS.get(code) ?? sanitize(messageOf(error));
    throw new HoldlineError("configuration", `${shownPath(path)}: cannot be read: ${why}`, { cause: error });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new HoldlineError("configuration", `${shownPath(path)}: is not YAML: it is not text in UTF-8`, { cause: error });
  }
}

function readBytes(path: string): Buffer {
  const file = openSync(path, "r");
  try {
    if (fstatSync(file).isDirectory())
      throw new HoldlineError("configuration", `${shownPath(path)}: is a directory, not a YAML file`);
    // Read to the end and not to the size: a pipe (`--config <(…)`) has no size.
    const pieces: Buffer[] = [];
    for (let length = 0; length <= LARGEST_BYTES;) {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      const count = readSync(file, piece, 0, PIECE_BYTES, null);
      if (count === 0) return Buffer.concat(pieces);
      pieces.push(piece.subarray(0, count));
      length += count;
    }
    throw new HoldlineError("configuration", `${shownPath(path)}: is larger than 1 MiB, too large for a configuration`);
  } finally {
    closeSync(file);
  }
}
