// Browsers carry requests of pages that the person in front of them never meant for this server, with that person's
// credentials, or into a machine that lets everybody in who is on it. What such a request says of itself is looked at here.
import type { IncomingHttpHeaders } from "node:http";

const HARMLESS = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * What is wrong with where a request comes from; `null` for all that no other site's page can have sent.
 * @param isForThisMachine everybody may write who can connect, and only this machine can
 */
export function originProblem(
  method: string,
  { host = "", origin, "sec-fetch-site": site }: IncomingHttpHeaders,
  isForThisMachine: boolean,
): string | null {
  // A page of a site whose name has been made to lead here is of the same origin, and is known by that name.
  if (isForThisMachine && !isThisMachine(host))
    return "without credentials this server is known by addresses and as localhost alone";
  if (HARMLESS.has(method) || site === "same-origin" || site === "none") return null;
  // Browsers that do not say the one say the other.
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
