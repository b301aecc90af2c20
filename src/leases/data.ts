// Changing the structured data of a claim: one key, a merge, or all of it. Data is whatever JSON can carry; maps are plain
// objects without inherited keys. Pure.
import { isObject } from "../locks/claim.js";
import { plainData } from "../locks/data.js";
import { HoldlineError } from "../locks/errors.js";
import { quoted, sanitize, shortened } from "../locks/text.js";

/** One step of a change: `set` at a path of keys, `merge` into what is there, `replace` all of it. */
export type DataChange =
  | { readonly kind: "set"; readonly path: readonly string[]; readonly value: unknown }
  | { readonly kind: "merge"; readonly value: unknown }
  | { readonly kind: "replace"; readonly value: unknown };

/**
 * The data after some changes, one after another.
 * @throws HoldlineError `usage` when a key lies below something that is no map, or the result is too large
 */
export function applyChanges(data: unknown, changes: readonly DataChange[]): unknown {
  let changed = data;
  for (const change of changes) changed = applied(changed, change);
  const plain = plainData(changed);
  if ("problem" in plain) throw new HoldlineError("usage", `changed like this, the data ${plain.problem}`);
  return plain.data;
}

function applied(data: unknown, change: DataChange): unknown {
  if (change.kind === "replace") return change.value;
  if (change.kind === "merge") return merged(data, change.value);
  return withValueAt(data, change.path, change.value, []);
}

/** Maps are merged key by key; anything else is taken from `added`. */
function merged(present: unknown, added: unknown): unknown {
  if (!isObject(present) || !isObject(added)) return added;
  const keys = new Set([...Object.keys(present), ...Object.keys(added)]);
  // fromEntries makes own properties of all keys, `__proto__` too.
  return Object.fromEntries(
    [...keys].map((key) => [
      key,
      !Object.hasOwn(added, key) ? present[key] : Object.hasOwn(present, key) ? merged(present[key], added[key]) : added[key],
    ]),
  );
}

function withValueAt(data: unknown, path: readonly string[], value: unknown, above: readonly string[]): unknown {
  const [key, ...below] = path;
  if (key === undefined) return value;
  if (data !== null && data !== undefined && !isObject(data)) {
    const where = above.length === 0 ? "the data" : shownPath(above);
    throw new HoldlineError("usage", `${shownPath([...above, ...path])} cannot be set: ${where} is no map`, {
      hint: "--replace sets all of the data",
    });
  }
  const present = data ?? {};
  const child = Object.hasOwn(present, key) ? present[key] : null;
  const changed = withValueAt(child, below, value, [...above, key]);
  const kept = Object.entries(present).map(([name, old]) => [name, name === key ? changed : old] as const);
  return Object.fromEntries(Object.hasOwn(present, key) ? kept : [...kept, [key, changed] as const]);
}

/** The keys of a dotted path: `a.b` is `b` in `a`. @throws HoldlineError `usage` */
export function parseDataPath(text: string): readonly string[] {
  const path = text.split(".");
  if (path.length <= LONGEST_PATH && path.every((key) => key !== "" && !isForbiddenKey(key))) return path;
  throw new HoldlineError("usage", `${quoted(text)} names no key of the data`, {
    hint: 'right would be such as status, or deploy.version for "version" in "deploy"',
  });
}

// Enough to recognise a path.
const LONGEST_SHOWN = 100;

/** A path of keys for messages: on one line, and short enough to read. */
export function shownPath(path: readonly string[]): string {
  return shortened(sanitize(path.join(".")), LONGEST_SHOWN);
}

// As deep as the YAML that is read may be nested.
const LONGEST_PATH = 100;

/** What some readers of the data would take for something else, in words that complete "--data …"; `null` when nothing. */
export function problemInData(data: unknown): string | null {
  if (typeof data === "number" && !Number.isFinite(data)) return `must not have ${data}: JSON cannot carry it`;
  if (typeof data !== "object" || data === null) return null;
  const forbidden = Object.keys(data).find(isForbiddenKey);
  if (forbidden !== undefined) return `must not have a key "${forbidden}"`;
  for (const value of Object.values(data)) {
    const problem = problemInData(value);
    if (problem !== null) return problem;
  }
  return null;
}

/** Whether a key is forbidden in data: programs in JavaScript that read it could be made to change their own prototypes. */
export function isForbiddenKey(key: string): boolean {
  return key === "__proto__" || key === "constructor" || key === "prototype";
}
