// How a store's URL looks, and what the parts have to be that most URLs share. No message quotes what may be a password.
import { isIPv6 } from "node:net";
import { suggestion } from "../../locks/nearest.js";
import { quoted } from "../../locks/text.js";
import { paramsOf } from "../../store-url.js";

/** One way to begin a coordinator's URL. */
export interface Scheme {
  readonly example: string;
  /** Whether the store is a file of this machine, which no server stands before. */
  readonly isEmbedded: boolean;
  /** What is wrong with all that follows `scheme://`, or `null`. It has no blanks, no `#`, and every `%` is right. */
  problem(rest: string): string | null;
}

/** What is wrong with a parameter's value, in words that follow its name, or `null`. */
export type ParamCheck = (value: string) => string | null;

/**
 * What is wrong with a list of servers.
 * @param mayQuote whether what looks like a server can be no part of a password
 */
export function serversProblem(servers: string, mayQuote: boolean): string | null {
  if (servers === "") return "names no server";
  for (const server of servers.split(",")) {
    const problem = serverProblem(server);
    if (problem !== null)
      return mayQuote && server !== "" ? `has the server ${quoted(server)}, which ${problem}` : `has a server which ${problem}`;
  }
  return null;
}

/** What is wrong with a query, given what each parameter that there is has to be. */
export function paramsProblem(query: string | null, known: Readonly<Record<string, ParamCheck>>): string | null {
  // Behind a "?" in a password stands the rest of it.
  if (query?.includes("@") === true)
    return 'has an "@" behind its "?"; in a password a "?" is written %3F, and in a parameter an "@" is written %40';
  const seen = new Set<string>();
  for (const [name, value] of paramsOf(query)) {
    const check = Object.hasOwn(known, name) ? known[name] : undefined;
    if (check === undefined) return `has the unknown parameter ${quoted(name)}; ${suggestion(name, Object.keys(known))}`;
    if (seen.has(name)) return `has the parameter "${name}" twice`;
    seen.add(name);
    const problem = check(value);
    if (problem !== null) return `has a parameter "${name}" that ${problem}`;
  }
  return null;
}

/** A parameter that names a file. */
export const filePath: ParamCheck = (value) =>
  value.startsWith("/") && !value.endsWith("/") && !value.includes("\0") ? null : "must be the absolute path of a file";

/** A parameter that is one of some words. */
export function oneOf(...words: readonly string[]): ParamCheck {
  return (value) => (words.includes(value) ? null : `must be one of ${words.join(", ")}`);
}

function serverProblem(server: string): string | null {
  if (server === "") return "is empty";
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(server);
  if (parts === null) return "must be HOST or HOST:PORT, with an IPv6 address in brackets";
  const [, host, port] = parts as unknown as [string, string, string | undefined];
  if (!isHost(host)) return host === "" ? "has no host name" : "has no proper host name";
  if (port === undefined) return null;
  return /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535
    ? null
    : "has no proper port: a number from 1 to 65535";
}

// Nearly every name is a plain one: the pattern for all others alone takes longer to be made than all else that is asked here.
function isHost(host: string): boolean {
  if (/^\w(?:[\w.-]*\w)?$/.test(host)) return true;
  if (host.startsWith("[")) return host.endsWith("]") && !host.includes("%") && isIPv6(host.slice(1, -1));
  return /^[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}_])?$/u.test(host);
}
