// A command line without its passwords, for the process's title: every user of the machine may read it, for as long as the
// process runs.
import { redactUrl, redactUrlsIn } from "./config/secrets.js";

/**
 * The words of a process as its title is to show them; `null` where there is nothing to hide.
 * @param words the program's and its arguments
 */
export function titleWithoutPasswords(words: readonly string[]): string | null {
  const shown = words.map((word, index) => {
    const [, option, url] = /^(--coordinator=)(.*)$/s.exec(word) ?? [];
    if (option !== undefined && url !== undefined) return `${option}${redactUrl(url)}`;
    return words[index - 1] === "--coordinator" ? redactUrl(word) : redactUrlsIn(word);
  });
  return shown.every((word, index) => word === words[index]) ? null : shown.join(" ");
}
