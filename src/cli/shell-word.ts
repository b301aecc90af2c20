// Words for a POSIX shell, for commands that people are to copy.

/** A text in quotes, whatever it has in it. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A text as one word, in quotes where it needs them: a URL with parameters would be cut off at its first `&`. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : shellQuoted(text);
}
