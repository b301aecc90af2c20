// Arguments and variables that are not UTF-8. Node replaces each wrong byte, and /proc still has the original ones. Most texts
// are UTF-8, and then this reads nothing.
import { readFileSync } from "node:fs";

/** A text to pass on. */
export interface RawText {
  readonly text: string;
  /** The bytes for `printf %b`, where they are not those of `text`; `null` where they are. */
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

/** The variables whose bytes node does not show. */
export function rawEnvironment(variables: readonly (readonly [string, string])[]): RawText[] {
  return variables.map(([name, value]) => rawTextOf("environ", `${name}=${value}`)).filter(({ escaped }) => escaped !== null);
}

/** What the kernel keeps of this process's start, by the text that node shows for it. */
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
  // A text may hold the replacement character itself: then nothing needs putting back.
  return parts.filter((part) => !Buffer.from(part.toString("utf8")).equals(part));
}

function escape(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\0${byte.toString(8).padStart(3, "0")}`).join("");
}
