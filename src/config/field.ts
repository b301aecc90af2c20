// A field is one value of a configuration and its place; readers turn fields into typed values. A reader that refuses a value
// records why and returns `undefined`; it never throws.
import { DURATION_FORM, parseDurationMs } from "../locks/durations.js";
import { claimIdIn, ID_EXAMPLE } from "../locks/ids.js";
import { canonicalLock, lockNameProblem } from "../locks/names.js";
import { suggestion } from "../locks/nearest.js";
import { shownValue } from "./problems.js";
import type { Origin, Problems } from "./problems.js";

export interface Field {
  readonly value: unknown;
  readonly path: readonly string[];
  /** How the value was written, if that is known. */
  readonly written: string | null;
  /** Records what is wrong with the value. */
  refuse(message: string): undefined;
  child(key: string, value: unknown): Field;
}

export function createField(value: unknown, path: readonly string[], origin: Origin, problems: Problems): Field {
  return {
    value,
    path,
    get written() {
      return origin.writtenAt(path);
    },
    refuse(message) {
      problems.add(origin, path, message);
      return undefined;
    },
    child: (key, childValue) => createField(childValue, [...path, key], origin, problems),
  };
}

/** The fields of a map, in its order; an empty value is an empty map. */
export function readMap(field: Field): Map<string, Field> | undefined {
  const { value } = field;
  if (value === null || value === undefined) return new Map();
  let pairs: Iterable<readonly [unknown, unknown]>;
  if (value instanceof Map) pairs = value as Map<unknown, unknown>;
  else if (typeof value === "object" && !Array.isArray(value)) pairs = Object.entries(value);
  else return field.refuse(`must be a map of keys and values, not ${shownValue(value)}`);
  const fields = new Map<string, Field>();
  for (const [key, child] of pairs) fields.set(String(key), field.child(String(key), child));
  return fields;
}

/** The fields of a map that may have only the keys `known`. Names such as `__proto__` are unknown keys like any other. */
export function readKnownMap(field: Field, known: readonly string[]): Map<string, Field> | undefined {
  const fields = readMap(field);
  if (fields === undefined) return undefined;
  for (const [key, child] of fields) {
    if (known.includes(key)) continue;
    child.refuse(`is an unknown key; ${suggestion(key, known)}`);
    fields.delete(key);
  }
  return fields;
}

/** Reads the field, or returns `fallback` if it is not there. */
export function readIfThere<T, D>(field: Field | undefined, read: (field: Field) => T | undefined, fallback: D): T | D | undefined {
  return field === undefined ? fallback : read(field);
}

/** The parts of a map; `undefined` if a reader refused one. */
export function complete<T extends Record<string, unknown>>(parts: T): { [K in keyof T]: Exclude<T[K], undefined> } | undefined {
  return Object.values(parts).includes(undefined) ? undefined : (parts as { [K in keyof T]: Exclude<T[K], undefined> });
}

/**
 * The items of a list, which may be empty; `undefined` if a reader refused one.
 * @param example what to write, for messages
 */
export function readItems<T>(field: Field, read: (item: Field) => T | undefined, example: string): readonly T[] | undefined {
  const { value } = field;
  // Says no text: it may be a URL with a secret in its path.
  if (!Array.isArray(value))
    return field.refuse(
      `must be a list, ${value === null || value === undefined ? "but is empty" : `not ${kindOf(value)}`}; ${example}`,
    );
  const items = value.map((item: unknown, index) => read(field.child(String(index), item)));
  return items.includes(undefined) ? undefined : (items as readonly T[]);
}

/** The items of a list that must not be empty. A single text is a list of one. */
export function readTexts<T>(field: Field, read: (item: Field) => T | undefined, example: string): readonly T[] | undefined {
  if (typeof field.value === "string") {
    const only = read(field);
    return only === undefined ? undefined : [only];
  }
  const items = readItems(field, read, example);
  return items?.length === 0 ? field.refuse(`must not be an empty list; ${example}`) : items;
}

function kindOf(value: unknown): string {
  return typeof value === "object" ? "a map" : typeof value === "string" ? "a text" : shownValue(value);
}

// Every claim carries a name and a principal, and tables show them in columns.
const LONGEST_LABEL_BYTES = 255;

/** A short text on one line: a node, a principal, a key. A number counts as it was written. */
export function readLabel(field: Field): string | undefined {
  const text = readText(field);
  if (text === undefined) return undefined;
  if (text.trim() === "") return field.refuse("must not be empty; leave it out for its default");
  if (/\p{Cc}/u.test(text) || !text.isWellFormed()) return field.refuse("must be text without control characters");
  const bytes = Buffer.byteLength(text);
  if (bytes > LONGEST_LABEL_BYTES) return field.refuse(`has ${bytes} bytes; at most ${LONGEST_LABEL_BYTES} are allowed`);
  return text;
}

// People read it, and every entry of the claim carries it.
const LONGEST_DESCRIPTION_BYTES = 4_096;

/** What a lock on a host is for, in words; it may have several lines. */
export function readDescription(field: Field): string | undefined {
  const text = readText(field);
  if (text === undefined) return undefined;
  if (text.trim() === "" || !text.isWellFormed()) return field.refuse("must not be empty; leave it out if there is nothing to say");
  const bytes = Buffer.byteLength(text);
  return bytes <= LONGEST_DESCRIPTION_BYTES
    ? text
    : field.refuse(`has ${bytes} bytes; at most ${LONGEST_DESCRIPTION_BYTES} are allowed`);
}

/** The id of a claim. */
export function readClaimId(field: Field): string | undefined {
  const text = readLabel(field);
  if (text === undefined) return undefined;
  return claimIdIn(text) ?? field.refuse(`must be the id of a claim, a UUID such as ${ID_EXAMPLE}`);
}

/** Any text that a process can be given. Numbers and booleans count as they were written: `1.10` is not `1.1`. */
export function readText(field: Field): string | undefined {
  const { value } = field;
  if (typeof value === "string") {
    if (!value.isWellFormed()) return field.refuse("must be well-formed Unicode");
    return value.includes("\0") ? field.refuse("must be text without a NUL character") : value;
  }
  if (typeof value === "number" || typeof value === "boolean") return field.written ?? String(value);
  return field.refuse(
    value === null || value === undefined
      ? 'must be text, but is empty (write "" for an empty text)'
      : `must be text, not ${shownValue(value)}`,
  );
}

/** A lock's canonical name. */
export function readLockName(field: Field): string | undefined {
  const text = typeof field.value === "number" ? (field.written ?? String(field.value)) : field.value;
  const problem = lockNameProblem(text);
  if (problem === null) return canonicalLock(text as string);
  return field.refuse(`a lock's name ${problem}; write for example "restart/nginx"`);
}

export function readChoice<T extends string>(field: Field, choices: readonly T[]): T | undefined {
  if (typeof field.value === "string" && (choices as readonly string[]).includes(field.value)) return field.value as T;
  return field.refuse(`must be ${choices.slice(0, -1).join(", ")} or ${String(choices.at(-1))}, not ${shownValue(field.value)}`);
}

const BOOLEANS = new Map([
  ["true", true],
  ["yes", true],
  ["on", true],
  ["1", true],
  ["false", false],
  ["no", false],
  ["off", false],
  ["0", false],
]);

/** A boolean, also in the words that people use in environment variables. */
export function readBoolean(field: Field): boolean | undefined {
  if (typeof field.value === "boolean") return field.value;
  const value = typeof field.value === "string" ? BOOLEANS.get(field.value.toLowerCase()) : undefined;
  return value ?? field.refuse(`must be true or false, not ${shownValue(field.value)}`);
}

/** A whole number, also as text: the environment has nothing else. */
export function readWhole(field: Field, least: number, most: number): number | undefined {
  const { value } = field;
  const number = typeof value === "string" && /^[+-]?\d{1,15}$/.test(value.trim()) ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= least && number <= most) return number;
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  return field.refuse(`must be a whole number ${range}, not ${shownValue(value)}`);
}

/** A claim's slots: a whole number from 1, or `unlimited`. */
export function readSlots(field: Field): number | undefined {
  if (field.value === "unlimited" || field.value === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  return readWhole(field, 1, Number.MAX_SAFE_INTEGER);
}

/** Which durations a setting takes. Positive ones always. */
export interface DurationBounds {
  readonly zero?: boolean;
  /** The longest in milliseconds. */
  readonly most?: number;
}

// A timer of Node's that is set to more than 2^31 ms (24.8 days) fires at once, and would kill a command that may take a month.
// A setting that is longer than this means for ever.
const LONGEST_TIMER_MS = 24 * 86_400_000;

/** A duration in milliseconds. */
export function readDurationMs(field: Field, bounds: DurationBounds = {}): number | undefined {
  return readDuration(field, bounds, DURATION_FORM);
}

/** A duration in milliseconds, or `null` for `none`. */
export function readDurationOrNoneMs(field: Field, bounds: DurationBounds = {}): number | null | undefined {
  if (field.value === "none") return null;
  return readDuration(field, bounds, `${DURATION_FORM}, or none`);
}

function readDuration(field: Field, bounds: DurationBounds, form: string): number | undefined {
  const ms = parseDurationMs(field.value);
  if (ms === null) return field.refuse(`must be ${form}, not ${shownValue(field.value)}`);
  if (ms === 0 && bounds.zero !== true) return field.refuse(`must be more than 0: ${form}`);
  const most = bounds.most ?? LONGEST_TIMER_MS;
  if (ms > most) return field.refuse(`must be at most ${Math.floor(most / 86_400_000)} days, not ${shownValue(field.value)}`);
  return ms;
}
