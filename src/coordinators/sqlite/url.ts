// Coordinator URLs of the form sqlite:///path/to/file.db.
import { HoldlineError } from "../../locks/errors.js";

/**
 * The database's path out of a URL.
 * @throws HoldlineError `configuration` that says what would be right
 */
export function parseSqliteUrl(url: string): string {
  const parts = /^sqlite:\/\/([^/?#]*)(\/[^?#]*)?([?#].*)?$/s.exec(url);
  if (parts === null) throw wrong(url, "is not of the right form");
  const [, host, encoded, rest] = parts;
  if (host !== "") throw wrong(url, "must have three slashes and an absolute path");
  if (rest !== undefined) throw wrong(url, 'takes no "?" and no "#"; in a path they are written %3F and %23');
  if (encoded === undefined || encoded.endsWith("/")) throw wrong(url, "names no file");
  let path: string;
  try {
    path = decodeURIComponent(encoded);
  } catch {
    throw wrong(url, "has a broken percent-encoding");
  }
  if (path.includes("\0")) throw wrong(url, "has a NUL in its path");
  return path;
}

function wrong(url: string, what: string): HoldlineError {
  return new HoldlineError("configuration", `the SQLite URL ${JSON.stringify(url)} ${what}`, {
    hint: "it looks like sqlite:///var/lib/holdline/holdline.db",
  });
}
