// How gates name a command. Pure.
import { quoted, sanitize, shortened } from "../locks/text.js";

// Enough to recognise it.
const LONGEST_COMMAND = 80;

/** A command on one line, its arguments in quotes where they need them, cut to a readable length. */
export function commandWords(argv: readonly string[]): string {
  const words = argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quoted(word)));
  return shortened(sanitize(words.join(" ")), LONGEST_COMMAND);
}
