// The cookie that carries a session's id. Scripts cannot read it, and browsers do not send it from other sites. Pure.
import type { IncomingHttpHeaders } from "node:http";

/** The session's id out of a request; `null` when there is none. */
export function sessionIdIn({ cookie = "", host }: IncomingHttpHeaders): string | null {
  const name = nameFor(host);
  const values = cookie.split(/; */).map((pair) => /^(?:__Host-)?([^=]*)=([\w-]{43})$/.exec(pair));
  return values.find((found) => found?.[1] === name)?.[2] ?? null;
}

export interface CookieOptions {
  /** Whether the browser speaks HTTPS. Then it sends the cookie only over HTTPS, and only to this host. */
  readonly isSecure: boolean;
  readonly maxAgeMs: number;
}

/** What `Set-Cookie` says. An age of 0 removes the cookie. */
export function sessionCookie({ host }: IncomingHttpHeaders, id: string, { isSecure, maxAgeMs }: CookieOptions): string {
  const name = `${isSecure ? "__Host-" : ""}${nameFor(host)}`;
  const age = Math.floor(maxAgeMs / 1_000);
  return `${name}=${id}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
}

/** Browsers send a host's cookies to all its ports. The port in the name keeps two servers apart, as behind two tunnels. */
function nameFor(host = ""): string {
  return `holdline-session-${/:(\d+)$/.exec(host)?.[1] ?? "0"}`;
}
