// The data of a claim: which of a caller's values may go into a record, and which may come out of one.

/** The most bytes that a claim's data may take as JSON: every write of its record contains it, and every read of the queue. */
export const LARGEST_DATA_BYTES = 65_536;

// JSON.stringify recurses, and fails beyond some thousands of levels. Nobody nests data that deep.
const DEEPEST_DATA = 100;

/** Values that a record can carry, or the problem with them in words that follow their name. */
export type PlainData = { readonly data: unknown } | { readonly problem: string };

/** Any values as plain ones, fit for JSON: maps become objects. */
export function plainData(value: unknown): PlainData {
  // Aliases and cycles can stand for much more than their text: the walk ends once it has seen too much.
  let left = LARGEST_DATA_BYTES;
  const plain = (child: unknown, depth: number): unknown => {
    // A list counts by its length: it may have a thousand million empty places.
    left -= typeof child === "string" || Array.isArray(child) ? child.length + 1 : 1;
    if (left < 0 || depth > DEEPEST_DATA) throw new Excess(depth > DEEPEST_DATA ? TOO_DEEP : TOO_LARGE);
    if (child instanceof Map) return fromPairs([...(child as Map<unknown, unknown>)], depth);
    if (Array.isArray(child)) return child.map((item) => plain(item, depth + 1));
    if (typeof child === "object" && child !== null && !("toJSON" in child)) return fromPairs(Object.entries(child), depth);
    return child;
  };
  // fromEntries makes own properties of all keys, even of `__proto__`: a file cannot make anything inherited.
  const fromPairs = (pairs: readonly (readonly [unknown, unknown])[], depth: number): unknown =>
    Object.fromEntries(pairs.map(([key, child]) => [plain(String(key), depth), plain(child, depth + 1)]));
  try {
    const data = plain(value, 0);
    const text = JSON.stringify(data) as string | undefined;
    // JSON gives no text for a function, and throws for other values that it cannot carry. No text means no data.
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

/** Whether a JSON value is nested deeper than any data that Holdline writes. Does not recurse. */
export function isTooDeep(value: unknown): boolean {
  let level: readonly unknown[] = [value];
  for (let depth = 0; depth <= DEEPEST_DATA; depth += 1) {
    level = level.flatMap((child) => (typeof child === "object" && child !== null ? (Object.values(child) as unknown[]) : []));
    if (level.length === 0) return false;
  }
  return true;
}
