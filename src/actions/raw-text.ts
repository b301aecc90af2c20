// Arguments and variables that are no UTF-8: node has put a replacement in the place of each wrong byte, and the bytes as
// they were given are found in /proc. Most texts are UTF-8, for which nothing is read.
import { readFileSync } from "node:fs";

/** A text as it is to be passed on. */
export interface RawText {
  readonly text: string;
  /** For `printf %b`, when its bytes are not those of `text`; `null` when they are. */
  readonly escaped: string | null;
}

type Source = "environ" | "cmdline";

const REPLACEMENT = "\uFFFD";

const known = new Map<Source, ReadonlyMap<string, Buffer>>();

/** @param text an argument of this process, or `NAME=value` of its environment, as node shows it */
export function rawTextOf(source: Source, text: string): RawText {
  const bytes = text.includes(REPLACEMENT) ? bytesIn(source).get(text) : undefined;
  return { text, escaped: bytes === undefined ? null : escape(bytes) };
}

/** Those of the variables whose bytes node does not show. */
export function rawEnvironment(variables: readonly (readonly [string, string])[]): RawText[] {
  return variables.map(([name, value]) => rawTextOf("environ", `${name}=${value}`)).filter(({ escaped }) => escaped !== null);
}

/** What the kernel keeps of this process's start, by how node shows it. */
function bytesIn(source: Source): ReadonlyMap<string, Buffer> {
  const found = known.get(source) ?? new Map(split(readAll(source)).map((bytes) => [bytes.toString("utf8"), bytes]));
  known.set(source, found);
  return found;
}

function readAll(source: Source): Buffer {
  try {
    return readFileSync(`/proc/self/${source}`);
  } catch {
    return Buffer.alloc(0);
  }
}

function split(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(0, from);
    parts.push(bytes.subarray(from, end < 0 ? bytes.length : end));
    from = end < 0 ? bytes.length : end + 1;
  }
  // A replacement may also be meant: then nothing has to be put back.
  return parts.filter((part) => !Buffer.from(part.toString("utf8")).equals(part));
}

function escape(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\0${byte.toString(8).padStart(3, "0")}`).join("");
}
