// The cookie with a session's id. Scripts cannot read it, and browsers do not send it with other sites' requests. Over HTTPS its
// name has a prefix, so that browsers accept it from this host alone, and only over HTTPS. Pure.
import type { IncomingHttpHeaders } from "node:http";

const SECURE_PREFIX = "__Host-";
const ID = /^(__Host-)?([^=]*)=([\w-]{43})$/;

/** An id in a request's cookies. */
export interface SentId {
  readonly id: string;
  /** Whether its cookie has the name with the prefix. */
  readonly isSecure: boolean;
}

/** All ids in a request's cookies, in their order. Some may be stale, or planted by an attacker. */
export function sessionIdsIn({ cookie = "", host }: IncomingHttpHeaders): readonly SentId[] {
  const name = nameFor(host);
  return cookie.split(/; */).flatMap((pair) => {
    const [, prefix, its, id] = ID.exec(pair) ?? [];
    return its === name && id !== undefined ? [{ id, isSecure: prefix !== undefined }] : [];
  });
}

/**
 * The ids that may name the session, the likeliest first. Over HTTPS only the name with the prefix counts, because anybody on
 * the network can plant the other; over plain HTTP only the other counts.
 * @param isSecure as `speaksHttps` says
 */
export function countingIds(sent: readonly SentId[], isSecure: boolean | null): readonly SentId[] {
  const [secure, plain] = [sent.filter((one) => one.isSecure), sent.filter((one) => !one.isSecure)];
  if (isSecure === null) return [...secure, ...plain];
  return isSecure ? secure : plain;
}

/**
 * Whether the browser speaks HTTPS, to this server or to a proxy; `null` where no header tells, as when it follows a link. An
 * untrue header harms only its sender: it decides about the sender's own cookie.
 * @param isTls whether this server itself speaks HTTPS
 */
export function speaksHttps(headers: IncomingHttpHeaders, isTls: boolean): boolean | null {
  if (isTls) return true;
  const { origin = "", "x-forwarded-proto": forwarded = "" } = headers;
  if (/^https?:/.test(origin)) return origin.startsWith("https:");
  // "http" proves nothing: a second proxy, behind the one that ends TLS, says that too.
  return /^https\b/i.test(String(forwarded)) ? true : null;
}

export interface CookieOptions {
  /** Whether the browser speaks HTTPS: then it must send the cookie only over HTTPS, and only to this host. */
  readonly isSecure: boolean;
  readonly maxAgeMs: number;
}

/** The value of `Set-Cookie`. An age of 0 removes the cookie. */
export function sessionCookie({ host }: IncomingHttpHeaders, id: string, { isSecure, maxAgeMs }: CookieOptions): string {
  const name = `${isSecure ? SECURE_PREFIX : ""}${nameFor(host)}`;
  const age = Math.floor(maxAgeMs / 1_000);
  return `${name}=${id}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
}

/** Browsers send a host's cookies to all its ports, so that the port in the name keeps two servers apart, as with two tunnels. */
function nameFor(host = ""): string {
  return `holdline-session-${/:(\d+)$/.exec(host)?.[1] ?? "0"}`;
}
