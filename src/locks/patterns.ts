// Patterns of names, in which * stands for any text. Pure.

/** Whether the pattern matches the whole text. */
export function matchesPattern(pattern: string, text: string): boolean {
  const [first = "", ...others] = pattern.split("*");
  const last = others.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const piece of others) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return text.length - at >= last.length && text.endsWith(last);
}

/** Whether everything that `pattern` matches is matched by `by` as well. */
export function isCoveredBy(pattern: string, by: string): boolean {
  // A * in the pattern can only be matched by one in `by`, which matches whatever it stands for.
  return matchesPattern(by, pattern);
}

/** Whether there is a text that both patterns match. */
export function haveCommon(one: string, other: string): boolean {
  // `reached[j]`: whether what has been read of `one` and the first j characters of `other` can be the same text.
  let reached = Array.from({ length: other.length + 1 }, (_, j) => /^\**$/.test(other.slice(0, j)));
  for (const character of one) {
    const next: boolean[] = [character === "*" && reached[0] === true];
    for (let j = 1; j <= other.length; j += 1) {
      const its = other[j - 1];
      const isAny = character === "*" || its === "*";
      const isReached = isAny ? reached[j] || next[j - 1] : character === its && reached[j - 1];
      next.push(isReached === true);
    }
    reached = next;
  }
  return reached[other.length] === true;
}
