// Input for the doors: texts and values that have broken parsers before, and mutations of valid input, which get further
// than noise does. verdict.ts judges what a door makes of it.
import fc from "fast-check";
import { CASES_PER_DOOR } from "../support/effort.js";

/** How many cases each property of a door gets. */
export const CASES = CASES_PER_DOOR;

/** Keys that mean something to JavaScript. */
export const PROTOTYPE_KEYS = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "toJSON"] as const;

const NASTY_TEXTS = [
  ...PROTOTYPE_KEYS,
  ...["", " ", "\t", "\n", "\r\n", "\0", "\ufeff", "\x1b[2J", "\x7f", "\x9b31m", "\u2028", "\u202e", "\ud800", "\udfff", "\ufffd"],
  ...[
    ".",
    "..",
    "../..",
    "/",
    "//",
    "/../",
    "%",
    "%2F",
    "%2e%2e",
    "%00",
    "%ff",
    "%C3%28",
    "~",
    "\\",
    "?",
    "#",
    "@",
    ":",
    "://",
    "*",
  ],
  ...["0", "-0", "-1", "1e999", "-1e999", "1e-7", "NaN", "Infinity", ".inf", ".nan", "0x10", "9007199254740993", "9".repeat(400)],
  ...["null", "true", "[]", "{}", "[[", '{"', '"', "'", "`", "none", "unlimited", "$(reboot)", "${HOME}"],
  ...['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}', '"__proto__":{"polluted":1},'],
  ...["lock-0000000001", "_c_x-1-lock-0000000001", "_h_0000000001", "__READ__-000000001", "x__lock__0000000001"],
  ...["a".repeat(300), "é".repeat(200), "/".repeat(300), "[".repeat(300), "😀".repeat(70), "a/".repeat(200)],
];

// Whatever takes more time than in proportion to a text's length shows with these.
const longText = fc
  .tuple(fc.constantFrom("a", " ", "0", "a:", "/", "[", "?pass", "a@", "\0", "é"), fc.integer({ min: 1_000, max: 20_000 }))
  .map(([piece, length]) => piece.repeat(length / piece.length));

/** A text of the kind that parsers stumble over, now and then a long one. */
export const nastyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 60, arbitrary: fc.constantFrom(...NASTY_TEXTS) },
  { weight: 20, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  { weight: 20, arbitrary: fc.string({ unit: "grapheme", maxLength: 12 }) },
  { weight: 20, arbitrary: fc.array(fc.constantFrom(...NASTY_TEXTS), { maxLength: 4 }).map((parts) => parts.join("")) },
  { weight: 1, arbitrary: longText },
);

const edit = fc.record({
  kind: fc.constantFrom("insert", "insert", "cut", "replace", "double", "end"),
  at: fc.nat(),
  length: fc.integer({ min: 1, max: 24 }),
  text: nastyText,
});

/** A text that was right before something happened to it. */
export function mangled(right: fc.Arbitrary<string>, most = 4): fc.Arbitrary<string> {
  return fc.tuple(right, fc.array(edit, { maxLength: most })).map(([text, edits]) =>
    edits.reduce((before, { kind, at, length, text: nasty }) => {
      const start = at % (before.length + 1);
      const [head, middle, tail] = [before.slice(0, start), before.slice(start, start + length), before.slice(start + length)];
      if (kind === "end") return head;
      if (kind === "insert") return head + nasty + middle + tail;
      if (kind === "double") return head + middle + middle + tail;
      return head + (kind === "cut" ? "" : nasty) + tail;
    }, text),
  );
}

/** A value of any kind that JSON or YAML may give, keys of JavaScript's own among them. */
export const nastyValue: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    nastyText,
    fc.constantFrom<unknown>(null, true, false, 0, -0, -1, 0.5, 2 ** 53, 1e308, 1e-320, 4_294_967_296, -2_147_483_649),
    fc.integer(),
    fc.double(),
    fc.array(tie("value"), { maxLength: 3 }),
    fc
      .array(fc.tuple(fc.oneof(fc.constantFrom(...PROTOTYPE_KEYS), nastyText), tie("value")), { maxLength: 3 })
      .map((pairs) => Object.fromEntries(pairs) as unknown),
  ),
})).value;

/** A JSON text of the right shape in which one value or key, anywhere, is something else. */
export function misshapen(right: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.record({
    steps: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom("replace", "replace", "drop", "add"),
    key: fc.oneof(fc.constantFrom(...PROTOTYPE_KEYS), nastyText),
    value: nastyValue,
  });
  return fc
    .tuple(right, fc.array(change, { minLength: 1, maxLength: 2 }))
    .map(([text, changes]) =>
      JSON.stringify(
        changes.reduce(
          (value, { steps, kind, key, value: other }) => changed(value, steps, kind, key, other),
          JSON.parse(text) as unknown,
        ),
      ),
    );
}

function changed(value: unknown, [step = 0, ...deeper]: readonly number[], kind: string, key: string, other: unknown): unknown {
  if (typeof value !== "object" || value === null || Object.keys(value).length === 0) return other;
  const pairs: [string, unknown][] = Object.entries(value);
  const index = step % pairs.length;
  const [name, child] = pairs[index] as [string, unknown];
  if (deeper.length > 0) pairs[index] = [name, changed(child, deeper, kind, key, other)];
  else if (kind === "drop") pairs.splice(index, 1);
  else if (kind === "add") pairs.push([key, other]);
  else pairs[index] = [name, other];
  return Array.isArray(value) ? pairs.map(([, item]) => item) : Object.fromEntries(pairs);
}

/** JSON that is nested without end where `"HERE"` stands in a text. */
export function bottomless(text: string, levels = 100_000): string {
  return text.replace('"HERE"', () => "[".repeat(levels) + "]".repeat(levels));
}
