// Hides the passwords of a command line in the process's title, which every user of the machine may read while the process runs.
import { redactUrl, redactUrlsIn } from "./config/secrets.js";

/**
 * The title for a process; `null` if its command line has nothing to hide.
 * @param words the program and its arguments
 */
export function titleWithoutPasswords(words: readonly string[]): string | null {
  const shown = words.map((word, index) => {
    const [, option, url] = /^(--coordinator=)(.*)$/s.exec(word) ?? [];
    if (option !== undefined && url !== undefined) return `${option}${redactUrl(url)}`;
    return words[index - 1] === "--coordinator" ? redactUrl(word) : redactUrlsIn(word);
  });
  return shown.every((word, index) => word === words[index]) ? null : shown.join(" ");
}
