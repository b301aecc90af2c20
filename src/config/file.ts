// Finding and reading the configuration file. One that is named must be there; one that is merely looked for may be
// missing, but when it is there it must be readable: a node that cannot read its configuration must not run without it.
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

/** What was found, and what was there and may not be used. */
export interface Found {
  /** `null` when there is none. */
  readonly config: ConfigText | null;
  /** Warnings: files that were passed over, and why. */
  readonly passedOver: readonly string[];
}

/**
 * The configuration file.
 * @param named by `--config`; else `$HOLDLINE_CONFIG` may name one
 * @throws HoldlineError `configuration`
 */
export function findConfig(named: string | null, surroundings: Surroundings): Found {
  const variable = surroundings.env["HOLDLINE_CONFIG"];
  if (named !== null) return found(readNamed(absoluteIn(named, "--config", surroundings), "--config"));
  // Empty is how a shell unsets a variable for one command.
  if (variable !== undefined && variable !== "")
    return found(readNamed(absoluteIn(variable, "HOLDLINE_CONFIG", surroundings), "HOLDLINE_CONFIG"));
  const passedOver: string[] = [];
  for (const { path, trust } of searchPath(surroundings)) {
    const why = whyNotTrusted(path, trust, surroundings.uid);
    if (why !== null) {
      passedOver.push(`${shownPath(path)} is passed over: ${why}; to use it all the same, name it with --config`);
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
 * A file that must be there, because somebody has named it.
 * @param path an absolute path
 * @param by who names it, for messages
 * @throws HoldlineError `configuration`
 */
export function readNamed(path: string, by: string): ConfigText {
  const text = readConfig(path);
  if (text !== null) return { path, text };
  throw new HoldlineError("configuration", `${shownPath(path)}: there is no such file (named by ${by})`, {
    hint: "name a file that is there, or none: then the defaults serve",
  });
}

const REASONS: ReadonlyMap<string | undefined, string> = new Map([
  ["EACCES", "this user may not read it"],
  ["EPERM", "this user may not read it"],
  ["ENAMETOOLONG", "no file has so long a name"],
]);

// What is longer is hardly a path, but rather what was to be in the file.
const LONGEST_SHOWN = 500;

function shownPath(path: string): string {
  return shortened(sanitize(path), LONGEST_SHOWN);
}

// A configuration has a few kilobytes. The bound is for those who name a log or a device.
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
    throw new HoldlineError("configuration", `${shownPath(path)}: is not YAML: it is no text in UTF-8`, { cause: error });
  }
}

function readBytes(path: string): Buffer {
  const file = openSync(path, "r");
  try {
    if (fstatSync(file).isDirectory())
      throw new HoldlineError("configuration", `${shownPath(path)}: is a directory, and a YAML file is needed`);
    // Read to the end rather than to the size: a pipe (`--config <(…)`) has none.
    const pieces: Buffer[] = [];
    for (let length = 0; length <= LARGEST_BYTES;) {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      const count = readSync(file, piece, 0, PIECE_BYTES, null);
      if (count === 0) return Buffer.concat(pieces);
      pieces.push(piece.subarray(0, count));
      length += count;
    }
    throw new HoldlineError("configuration", `${shownPath(path)}: is larger than 1 MiB, and no configuration is`);
  } finally {
    closeSync(file);
  }
}
