// Secrets that nobody may see: which part of a URL and which variables are secret, and what replaces them.

/** Stands where a secret was. */
export const HIDDEN = "***";

/**
 * A coordinator's URL without its password, for logs, errors and `check`. Since the URL may be wrong, it rather hides too
 * much: everything from the first colon after the scheme to the last "@".
 */
export function redactUrl(url: string): string {
  const shown = url.replace(/([?&;]([^?=&;#]*)=)([^&;#]*)/g, (whole, named: string, name: string, value: string) =>
    /pass|secret|token|auth|key/i.test(name) && !isPath(url, name, value) ? `${named}${HIDDEN}` : whole,
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

/** Whether a parameter of a store's URL says where a secret is, and not what it is. Web servers have keys that may begin with a slash. */
function isPath(url: string, name: string, value: string): boolean {
  return /^(?:key|\w+_file)$/.test(name) && /^(?:\/|%2f)/i.test(value) && !/^https?:/i.test(url);
}

/** The URL of a web server without its secrets: a password, a user that may be a token, and parameters with telling names. */
export function redactHttpUrl(url: string): string {
  return redactUrl(url).replace(/^([a-z0-9+.-]*https?:\/\/)[^:@/?#]+@/i, `$1${HIDDEN}@`);
}

/** The URL of a receiver of events: its server alone, because chat services put their token into the path. */
export function redactWebhook(url: string): string {
  const { protocol, host, pathname, search, hash, username, password } = new URL(url);
  const user = username === "" && password === "" ? "" : `${HIDDEN}@`;
  return `${protocol}//${user}${host}${pathname === "/" && search === "" && hash === "" ? "" : `/${HIDDEN}`}`;
}

/**
 * Any text, such as a command's argument, without the passwords of its URLs. A URL may lack its scheme; where it has one, a user
 * without a password is a secret only for a web server. The look-behinds let a run of characters match only from its beginning, so
 * that a long text takes linear and not quadratic time.
 */
export function redactUrlsIn(text: string): string {
  const redacted = text.replace(/(?<![a-z0-9+.-])[a-z0-9+.-]+:\/\/[^\s"'<>]+/gi, (url) =>
    /https?:\/\//i.test(url) ? redactHttpUrl(url) : redactUrl(url),
  );
  return redacted.replace(/(?<![^\s:@/"'<>])([^\s:@/"'<>]+):(?!\/\/)[^\s:@"'<>]+@(?=\S)/g, `$1:${HIDDEN}@`);
}

/** Whether a variable's name says that its value is a secret. */
export function isSecretName(name: string): boolean {
  return /pass|secret|token|credential|auth|private|api_?key|access_?key/i.test(name) || /(?:^|_)(?:key|pwd|pw)$/i.test(name);
}
