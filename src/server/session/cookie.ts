// The cookie that carries a session's id. Scripts cannot read it, and browsers do not send it from other sites. Over HTTPS its
// name has a prefix with which browsers take it from nobody but this host, and only over HTTPS. Pure.
import type { IncomingHttpHeaders } from "node:http";

const SECURE_PREFIX = "__Host-";
const ID = /^(__Host-)?([^=]*)=([\w-]{43})$/;

/** An id as a request brings it. */
export interface SentId {
  readonly id: string;
  /** Whether it came under the name with the prefix. */
  readonly isSecure: boolean;
}

/** All ids that a request brings, in its order. There may be stale ones among them, and some that others have planted. */
export function sessionIdsIn({ cookie = "", host }: IncomingHttpHeaders): readonly SentId[] {
  const name = nameFor(host);
  return cookie.split(/; */).flatMap((pair) => {
    const [, prefix, its, id] = ID.exec(pair) ?? [];
    return its === name && id !== undefined ? [{ id, isSecure: prefix !== undefined }] : [];
  });
}

/**
 * Those that may be the session, the likeliest first. Over HTTPS only the name with the prefix counts, because anybody on the
 * network can plant the other; over plain HTTP only the other.
 * @param isSecure as `speaksHttps` says
 */
export function countingIds(sent: readonly SentId[], isSecure: boolean | null): readonly SentId[] {
  const [secure, plain] = [sent.filter((one) => one.isSecure), sent.filter((one) => !one.isSecure)];
  if (isSecure === null) return [...secure, ...plain];
  return isSecure ? secure : plain;
}

/**
 * Whether the browser speaks HTTPS, to this server or to a proxy; `null` where nothing says so, as where it follows a link.
 * The headers are believed: they decide only about the sender's own cookie.
 * @param isTls this server itself speaks HTTPS
 */
export function speaksHttps(headers: IncomingHttpHeaders, isTls: boolean): boolean | null {
  if (isTls) return true;
  const { origin = "", "x-forwarded-proto": forwarded = "" } = headers;
  if (/^https?:/.test(origin)) return origin.startsWith("https:");
  // A proxy behind the one that ends TLS may well say "http", which proves nothing.
  return /^https\b/i.test(String(forwarded)) ? true : null;
}

export interface CookieOptions {
  /** Whether the browser speaks HTTPS. Then it sends the cookie only over HTTPS, and only to this host. */
  readonly isSecure: boolean;
  readonly maxAgeMs: number;
}

/** What `Set-Cookie` says. An age of 0 removes the cookie. */
export function sessionCookie({ host }: IncomingHttpHeaders, id: string, { isSecure, maxAgeMs }: CookieOptions): string {
  const name = `${isSecure ? SECURE_PREFIX : ""}${nameFor(host)}`;
  const age = Math.floor(maxAgeMs / 1_000);
  return `${name}=${id}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
}

/** Browsers send a host's cookies to all its ports. The port in the name keeps two servers apart, as behind two tunnels. */
function nameFor(host = ""): string {
  return `holdline-session-${/:(\d+)$/.exec(host)?.[1] ?? "0"}`;
}
