// Other people's texts inside our messages: made harmless, put in quotes, cut to a readable length. Pure functions.

/**
 * Text from anywhere, made fit for a terminal: characters that control it or change the direction of writing show as their
 * numbers, so no claim's data can move the cursor or hide another line.
 */
export function sanitize(text: string): string {
  return text.toWellFormed().replace(/[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu, (character) => {
    const named = NAMED.get(character);
    if (named !== undefined) return named;
    const code = character.charCodeAt(0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
}

const NAMED = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** At most `longest` characters of a text, with "…" in the place of the rest. */
export function shortened(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest).toWellFormed()}…` : text;
}

// Enough to recognise it.
const LONGEST_QUOTED = 60;

/** The beginning of a text in quotes, on one line, for messages; for any other value, its kind. */
export function quoted(value: unknown): string {
  return typeof value === "string" ? sanitize(JSON.stringify(shortened(value, LONGEST_QUOTED))) : kindOf(value);
}

// Not `String(value)`: an object may have no such method, or one that throws.
function kindOf(value: unknown): string {
  const isPlain = value === null || ["undefined", "number", "boolean", "bigint"].includes(typeof value);
  return isPlain ? String(value) : typeof value;
}
