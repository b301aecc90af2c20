// The data that is shown with a claim: what of a caller's values may go into a record, and what may come out of one.

/** The most that a claim's data may have as JSON: it is written with each of its records, and read by whoever looks at the queue. */
export const LARGEST_DATA_BYTES = 65_536;

// Whatever turns values into JSON recurses, and beyond some thousands of levels it fails. Nobody nests data like that.
const DEEPEST_DATA = 100;

/** Values as a record can carry them, or what is wrong with them in words that follow their name. */
export type PlainData = { readonly data: unknown } | { readonly problem: string };

/** Any values as plain ones, fit for JSON: maps become objects. */
export function plainData(value: unknown): PlainData {
  // Aliases and cycles can stand for much more than was written: the walk ends once it has seen too much.
  let left = LARGEST_DATA_BYTES;
  const plain = (child: unknown, depth: number): unknown => {
    // Of a list its length: it may have a thousand million places with nothing in them.
    left -= typeof child === "string" || Array.isArray(child) ? child.length + 1 : 1;
    if (left < 0 || depth > DEEPEST_DATA) throw new Excess(depth > DEEPEST_DATA ? TOO_DEEP : TOO_LARGE);
    if (child instanceof Map) return fromPairs([...(child as Map<unknown, unknown>)], depth);
    if (Array.isArray(child)) return child.map((item) => plain(item, depth + 1));
    if (typeof child === "object" && child !== null && !("toJSON" in child)) return fromPairs(Object.entries(child), depth);
    return child;
  };
  // fromEntries makes own properties of all keys, `__proto__` too: nothing is inherited from a file.
  const fromPairs = (pairs: readonly (readonly [unknown, unknown])[], depth: number): unknown =>
    Object.fromEntries(pairs.map(([key, child]) => [plain(String(key), depth), plain(child, depth + 1)]));
  try {
    const data = plain(value, 0);
    const text = JSON.stringify(data) as string | undefined;
    // JSON has no text for a function, where it throws for other things that it cannot carry. Nothing at all is no data.
    if (text === undefined) return data === undefined ? { data } : { problem: NO_JSON };
    return Buffer.byteLength(text) <= LARGEST_DATA_BYTES ? { data } : { problem: TOO_LARGE };
  } catch (error) {
    return { problem: error instanceof Excess ? error.message : NO_JSON };
  }
}

const TOO_LARGE = `has more than ${LARGEST_DATA_BYTES} bytes as JSON, which is the most`;
const NO_JSON = "is nothing that JSON can carry";
const TOO_DEEP = "contains itself, or is nested too deeply";

class Excess extends Error {}

/** Is a value that JSON made nested deeper than any data that is written here? Does not recurse. */
export function isTooDeep(value: unknown): boolean {
  let level: readonly unknown[] = [value];
  for (let depth = 0; depth <= DEEPEST_DATA; depth += 1) {
    level = level.flatMap((child) => (typeof child === "object" && child !== null ? (Object.values(child) as unknown[]) : []));
    if (level.length === 0) return false;
  }
  return true;
}
