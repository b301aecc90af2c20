// What must not be shown: which part of a URL and which variables of an action are secrets, and what stands in their place.

/** Stands where a secret was. */
export const HIDDEN = "***";

/**
 * A coordinator's URL without its password, fit for logs, errors and `check`. It is meant for URLs that are wrong as
 * well, so it hides rather too much: everything from the first colon after the scheme to the last "@".
 */
export function redactUrl(url: string): string {
  const shown = url.replace(/([?&;]([^?=&;#]*)=)[^&;#]*/g, (whole, named: string, name: string) =>
    /pass|secret|token|auth|key/i.test(name) ? `${named}${HIDDEN}` : whole,
  );
  const at = shown.lastIndexOf("@");
  if (at < 0) return shown;
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(shown)?.[0] ?? "";
  const colon = shown.indexOf(":", scheme.length);
  // In "zookeeper://zk1/a@b" the "@" belongs to the path, and there is no password.
  const slash = shown.indexOf("/", scheme.length);
  if (colon < 0 || colon > at || (slash >= 0 && slash < colon)) return shown;
  return `${shown.slice(0, colon)}:${HIDDEN}${shown.slice(at)}`;
}

/**
 * Any text without the passwords of URLs in it, such as a command's argument. A URL may lack its scheme. Each look-behind
 * lets a run of characters be tried from its beginning alone: a text without end takes time in proportion, not squared.
 */
export function redactUrlsIn(text: string): string {
  const redacted = text.replace(/(?<![a-z0-9+.-])[a-z0-9+.-]+:\/\/[^\s"'<>]+/gi, (url) => redactUrl(url));
  return redacted.replace(/(?<![^\s:@/"'<>])([^\s:@/"'<>]+):[^\s:@"'<>]+@(?=\S)/g, `$1:${HIDDEN}@`);
}

/** Does a variable's name say that its value is a secret? */
export function isSecretName(name: string): boolean {
  return /pass|secret|token|credential|auth|private|api_?key|access_?key/i.test(name) || /(?:^|_)(?:key|pwd|pw)$/i.test(name);
}
