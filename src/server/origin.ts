// Refuses requests that another site's page makes a browser send, with its user's credentials, or to a server that lets in
// everybody on its machine. The headers that browsers add tell where a request comes from.
import type { IncomingHttpHeaders } from "node:http";

const HARMLESS = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * What is wrong with a request's origin; `null` where no other site's page can have sent it.
 * @param isForThisMachine whether everybody who can connect may write, and only this machine can connect
 */
export function originProblem(
  method: string,
  { host = "", origin, "sec-fetch-site": site }: IncomingHttpHeaders,
  isForThisMachine: boolean,
): string | null {
  // DNS rebinding: a page whose own name resolves to this server has the same origin. Its name gives it away.
  if (isForThisMachine && !isThisMachine(host)) return "a server without credentials answers only to IP addresses and to localhost";
  if (HARMLESS.has(method) || site === "same-origin" || site === "none") return null;
  // Browsers send at least one of the two headers.
  if (site === undefined && (origin === undefined || hostOf(origin) === host)) return null;
  return "a page of another site has sent this";
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

function isThisMachine(host: string): boolean {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return name === "localhost" || /^\d+(?:\.\d+){3}$/.test(name) || /^\[[0-9a-f:.]*\]$/.test(name);
}
