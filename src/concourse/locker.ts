// The client of a Locker, Holdline's or the original: its requests, and what each answer means. Knows no Concourse.
import { HoldlineError, UnreachableError } from "../locks/errors.js";
import { lockNameProblem } from "../locks/names.js";
import { quoted, sanitize, shortened } from "../locks/text.js";
import type { Ask, Reply } from "./http.js";
import { ask, encoded } from "./http.js";
import type { Pool } from "./pools.js";
import { poolOf } from "./pools.js";
import type { Credentials, Endpoint, PutParams, Source } from "./request.js";

/** Done, with the server's answer; or to be tried again, because another key holds the lock or the server cannot answer now. */
export type Answer<T> =
  | { readonly outcome: "done"; readonly value: T }
  | { readonly outcome: "held"; readonly words: string }
  | {
      readonly outcome: "later";
      readonly words: string;
      /** Whether a server answered. */
      readonly isThere: boolean;
      /** How long to wait at least, in milliseconds. */
      readonly afterMs: number;
    };

// One sentence of the server, for a build's page.
const LONGEST_SAID = 500;

export class Locker {
  readonly #endpoint: Endpoint;
  readonly #credentials: Credentials | null;

  constructor({ locker, credentials }: Source) {
    this.#endpoint = locker;
    this.#credentials = credentials;
  }

  /** The lock as it is. @throws HoldlineError for an error that no other try can mend, as all methods do */
  async look(lock: string): Promise<Answer<Pool>> {
    const reply = this.#judge(await this.#ask({ method: "GET", path: "/locks" }));
    if (reply.outcome !== "done") return reply;
    const pool = poolOf(reply.value, lock);
    if (pool !== null) return { outcome: "done", value: pool };
    throw new HoldlineError("configuration", `${this.#endpoint.uri} is no Locker: its list has no locks`, { hint: CHECK_URI });
  }

  /** Locks or unlocks, at once or not at all. @returns the server's words */
  async put(lock: string, { operation, key, lockedBy }: PutParams): Promise<Answer<string>> {
    const reply = this.#judge(
      await this.#ask({
        method: operation === "lock" ? "PUT" : "DELETE",
        path: `/lock/${encodeURIComponent(lock)}`,
        body: lockedBy === null ? { key } : { key, requestor: lockedBy },
      }),
    );
    return reply.outcome === "done" ? { outcome: "done", value: this.#said(reply.value, "response") ?? operation } : reply;
  }

  #ask(question: Ask): Promise<Reply> {
    return ask(this.#endpoint, this.#credentials, question);
  }

  #judge(reply: Reply): Answer<unknown> {
    const { uri } = this.#endpoint;
    if (reply.outcome === "silent") return silence(uri, reply);
    const { status, text, retryAfterMs: afterMs } = reply;
    const body = parseJson(text);
    const said = this.#said(body, "error");
    const words = said === null ? `answered ${status}` : `answered ${status}: ${said}`;
    if (status === 200 && body !== undefined) return { outcome: "done", value: body };
    if (status === 423) return { outcome: "held", words: said ?? "it is locked" };
    if (TRY_LATER.has(status)) return { outcome: "later", words: `${uri} ${words}`, isThere: true, afterMs };
    if (status === 401)
      throw new HoldlineError("not-allowed", `${uri} does not know these credentials`, {
        hint: `source.username and source.password are ${this.#credentials === null ? "not set" : "not what it expects"}`,
      });
    if (status === 403) throw new HoldlineError("not-allowed", `${uri} ${words}`);
    if (status === 400) throw new HoldlineError("usage", `${uri} ${words}`);
    if (status >= 500) throw new UnreachableError(`${uri} ${words}`);
    throw new HoldlineError("configuration", `${uri} is no Locker: it ${words}`, { hint: CHECK_URI });
  }

  /** A sentence of the server, without the credentials that it may echo. */
  #said(body: unknown, key: "error" | "response"): string | null {
    const value = typeof body === "object" && body !== null ? (body as Readonly<Record<string, unknown>>)[key] : undefined;
    if (typeof value !== "string") return null;
    const secrets = this.#credentials === null ? [] : [this.#credentials.password, encoded(this.#credentials)];
    const safe = secrets.reduce((text, secret) => text.replaceAll(secret, "***"), value);
    return sanitize(shortened(safe, LONGEST_SAID));
  }
}

const CHECK_URI = "check source.locker_uri";

// Too many requests, or a proxy or store that cannot answer now.
const TRY_LATER = new Set([429, 502, 503, 504]);

/** A BOSH director's name, which is also its lock's name. */
export async function directorName(director: Endpoint): Promise<Answer<string>> {
  const { uri } = director;
  const reply = await ask(director, null, { method: "GET", path: "/info" });
  if (reply.outcome === "silent") return silence(uri, reply);
  const { status, retryAfterMs: afterMs, text } = reply;
  if (TRY_LATER.has(status)) return { outcome: "later", words: `${uri} answered ${status}`, isThere: true, afterMs };
  const info = status === 200 ? parseJson(text) : undefined;
  const name = typeof info === "object" && info !== null && "name" in info ? info.name : undefined;
  const problem = lockNameProblem(name);
  if (problem === null) return { outcome: "done", value: name as string };
  const words = name === undefined ? `answered ${status} without a name` : `has the name ${quoted(name)}, which ${problem}`;
  throw new HoldlineError("configuration", `the BOSH director at ${uri} ${words}`, { hint: "check source.bosh_lock" });
}

function silence(uri: string, { isForNow, problem }: Extract<Reply, { outcome: "silent" }>): Answer<never> {
  const words = `${uri} cannot be reached: ${sanitize(problem)}`;
  if (isForNow) return { outcome: "later", words, isThere: false, afterMs: 0 };
  throw new UnreachableError(words, { hint: "check its address in source, and for https its certificate and ca_cert" });
}

/** `undefined` for text that is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
