import fc from "fast-check";
import { expect, test } from "vitest";
import { haveCommon, isCoveredBy, matchesPattern } from "../../src/locks/patterns.js";

const LETTERS = ["a", "b"];
const pattern = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 5 });

/** Every text of up to so many letters. */
function textsUpTo(length: number): readonly string[] {
  return length === 0 ? [""] : ["", ...LETTERS.flatMap((letter) => textsUpTo(length - 1).map((rest) => letter + rest))];
}
// Two patterns of five characters have a common text of at most as many letters as both have, if they have one.
const TEXTS = [...new Set(textsUpTo(8))];

test("two patterns have something in common just when some text matches both", () => {
  fc.assert(
    fc.property(pattern, pattern, (one, other) => {
      const isCommon = TEXTS.some((text) => matchesPattern(one, text) && matchesPattern(other, text));
      expect(haveCommon(one, other)).toBe(isCommon);
    }),
  );
});

test("what a covered pattern matches, the other matches as well", () => {
  fc.assert(
    fc.property(pattern, pattern, (one, by) => {
      if (!isCoveredBy(one, by)) return;
      expect(TEXTS.filter((text) => matchesPattern(one, text) && !matchesPattern(by, text))).toEqual([]);
    }),
  );
  expect(isCoveredBy("app/*", "app/*")).toBe(true);
  expect(isCoveredBy("app/web*", "app/*")).toBe(true);
  expect(isCoveredBy("*", "app/*")).toBe(false);
});
