// "Did you mean": the known word that is nearest to an unknown one.

/** The candidate that `word` probably means, or `null` when none is near. */
export function nearestTo(word: string, candidates: Iterable<string>): string | null {
  const plain = simplified(word);
  // A third of the letters may differ. With more, the guess is no better than the list.
  let best: { candidate: string; distance: number } | null = null;
  for (const candidate of candidates) {
    const other = simplified(candidate);
    const limit = Math.min(3, Math.ceil(Math.max(plain.length, other.length) / 4));
    if (Math.abs(plain.length - other.length) > limit) continue;
    const distance = editDistance(plain, other);
    if (distance <= limit && (best === null || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate ?? null;
}

/** The end of a sentence: the word that was probably meant, or all words there are. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const nearest = nearestTo(word, candidates);
  if (nearest !== null) return `did you mean ${JSON.stringify(nearest)}?`;
  return candidates.length === 0 ? "there is none" : `there is ${listed(candidates)}`;
}

// Nobody reads a longer list.
const MOST_LISTED = 15;

function listed(words: readonly string[]): string {
  const shown = words.slice(0, MOST_LISTED).join(", ");
  return words.length > MOST_LISTED ? `${shown} and ${words.length - MOST_LISTED} more` : shown;
}

// To their writers "stateDir", "state-dir" and "state_dir" are one word. Longer words are not compared whole.
function simplified(word: string): string {
  return word.slice(0, 100).toLowerCase().replace(/[-_ ]/g, "");
}

/** How many letters to insert, remove, replace or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(replaced, (last[j] as number) + 1, (row[j - 1] as number) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (beforeLast[j - 2] as number) + 1);
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] as number;
}
