// From credentials to a caller, and from a caller to what it may do to which locks.
import { type PeerCertificate, TLSSocket } from "node:tls";
import type { FastifyReply, FastifyRequest } from "fastify";
import { ANONYMOUS } from "../config/serve.js";
import type { AccessEntry, Right, Settings } from "../config/settings.js";
import type { Claim } from "../locks/claim.js";
import type { Log } from "../locks/log.js";
import { HoldlineError } from "../locks/errors.js";
import { matchesPattern } from "../locks/patterns.js";
import type { Doors } from "../page/sign-in.js";
import { nobodysHash, Secrets, TooManyAttemptsError } from "./passwords.js";
import { Refusals } from "./refusals.js";
import { countingIds, sessionIdsIn, speaksHttps } from "./session/cookie.js";
import type { Session } from "./session/sessions.js";
import { Sessions } from "./session/sessions.js";

/** What a caller may do, and to which locks, by patterns of their names. */
export type Rights = Pick<AccessEntry, "may" | "locks">;

/** Who makes a request. */
export interface Caller {
  /** The principal of the claims that it takes and ends. */
  readonly name: string;
  readonly rights: Rights;
  /** The page's session that identifies it; `null` where the request itself has credentials. */
  readonly session: Session | null;
  /** Whether it may do this to any lock at all. */
  may(right: Right): boolean;
  /** Whether it may do this to the lock. */
  mayWith(right: Right, lock: string): boolean;
}

declare module "fastify" {
  interface FastifyRequest {
    caller: Caller;
    /** What the page offers its reader: to sign in, to sign out, or nothing. */
    door: Door;
  }
}

export type Door = { readonly act: "sign-in"; readonly takes: Doors } | { readonly act: "sign-out" } | null;

/** @throws HoldlineError `not-allowed` */
export function requireRight(caller: Caller, right: Right, lock: string): void {
  if (!caller.mayWith(right, lock)) throw notAllowed(caller, right, lock);
}

/**
 * The same for a lock that the caller has not named, because an id or a host led to it: callers without `read` do not learn
 * its name.
 * @throws HoldlineError `not-allowed`
 */
export function requireRightBehind(caller: Caller, right: Right, lock: string): void {
  if (caller.mayWith(right, lock)) return;
  throw notAllowed(caller, right, caller.mayWith("read", lock) ? lock : "one of the locks that this is about");
}

function notAllowed({ name }: Caller, right: Right, what: string): HoldlineError {
  return new HoldlineError("not-allowed", `${name} may not ${WORDS[right]} ${what}`, {
    hint: "access: in the server's configuration gives each name its rights",
  });
}

/** Whether the claim is the caller's own. */
export function isOwn(caller: Caller, { owner }: Pick<Claim, "owner">): boolean {
  return owner.principal === caller.name;
}

/**
 * Writing to a claim and ending it take the right to lock for the caller's own, and the right to clear for another's.
 * @throws HoldlineError `not-allowed`
 */
export function requireOver(caller: Caller, claim: Pick<Claim, "owner">, locks: readonly string[]): void {
  for (const lock of locks) requireRightBehind(caller, isOwn(caller, claim) ? "lock" : "clear", lock);
}

const WORDS: Readonly<Record<Right, string>> = { read: "see", lock: "lock", clear: "clear" };

const EVERYTHING: Rights = { may: ["read", "lock", "clear"], locks: ["*"] };

/** What a request's credentials say. */
export type Identified =
  | { readonly outcome: "known"; readonly caller: Caller }
  /** The request has no credentials and needs some, or has wrong ones. */
  | { readonly outcome: "unknown" }
  /** The server did not check them: too many wrong ones have come from this address. */
  | { readonly outcome: "too-many"; readonly retryAfterS: number };

interface Basic {
  readonly user: string;
  readonly password: string;
}

/** What people sign in with. */
export type Credentials = Basic | { readonly token: string };

export class Access {
  /** Who has signed in to the page. */
  readonly sessions = new Sessions();
  /** What the sign-in form can ask for. */
  readonly takes: Doors;
  readonly #entries: ReadonlyMap<string, AccessEntry>;
  readonly #anonymous: Caller | null;
  readonly #secrets = new Secrets();
  readonly #nobodysHash: string | null;
  readonly #refusals: Refusals;

  /** @param own credentials with all rights, beside the configured ones @param log gets a line on each refusal */
  constructor(settings: Settings, own: { readonly user: string; readonly hash: string } | null, log: Log) {
    this.#refusals = new Refusals(log);
    const entries = new Map(settings.access);
    if (own !== null) entries.set(own.user, { ...EVERYTHING, password: own.hash, token: null, certificate: null });
    const anonymous = entries.get(ANONYMOUS);
    entries.delete(ANONYMOUS);
    this.#entries = entries;
    if (anonymous !== undefined) this.#anonymous = callerOf(ANONYMOUS, anonymous);
    else this.#anonymous = entries.size === 0 ? callerOf(settings.principal, EVERYTHING) : null;
    const all = [...entries.values()];
    this.takes = { password: all.some(({ password }) => password !== null), token: all.some(({ token }) => token !== null) };
    const [hash = null] = all.flatMap(({ password }) => password ?? []);
    this.#nobodysHash = hash === null ? null : nobodysHash(hash);
  }

  /** @param address where the request comes from */
  async identify(request: FastifyRequest, address: string): Promise<Identified> {
    const { authorization } = request.headers;
    if (authorization !== undefined && this.#entries.size > 0) return this.identifyBy(credentialsIn(authorization), address);
    // A server that needs no credentials lets in clients that send some, as Locker does.
    const caller = this.#bySession(request) ?? this.#byCertificate(request) ?? this.#anonymous;
    return caller === null ? { outcome: "unknown" } : { outcome: "known", caller };
  }

  /** @param credentials `null` for a scheme that this server does not know @param address where they come from */
  async identifyBy(credentials: Credentials | null, address: string): Promise<Identified> {
    const identified = await this.#identified(credentials, address);
    if (identified.outcome !== "known") {
      const user = credentials !== null && "user" in credentials ? credentials.user : null;
      const name = user !== null && this.#entries.has(user) ? user : null;
      this.#refusals.note({ outcome: identified.outcome, address, name });
    }
    return identified;
  }

  /** @param caller `null` for an unknown one */
  doorFor(caller: Caller | null): Door {
    if (caller !== null && caller.session !== null) return { act: "sign-out" };
    const isKnown = caller !== null && caller.name !== ANONYMOUS;
    const { takes } = this;
    return !isKnown && (takes.password || takes.token) ? { act: "sign-in", takes } : null;
  }

  async #identified(credentials: Credentials | null, address: string): Promise<Identified> {
    if (credentials === null) return { outcome: "unknown" };
    try {
      const caller = await ("token" in credentials
        ? this.#byToken(credentials.token, address)
        : this.#byPassword(credentials, address));
      return caller === null ? { outcome: "unknown" } : { outcome: "known", caller };
    } catch (error) {
      if (error instanceof TooManyAttemptsError) return { outcome: "too-many", retryAfterS: error.retryAfterS };
      throw error;
    }
  }

  #bySession({ headers, raw: { socket } }: FastifyRequest): Caller | null {
    for (const { id, isSecure } of countingIds(sessionIdsIn(headers), speaksHttps(headers, socket instanceof TLSSocket))) {
      const session = this.sessions.find(id);
      const entry = session?.isSecure === isSecure ? this.#entries.get(session.name) : undefined;
      if (session !== null && entry !== undefined) return callerOf(session.name, entry, session);
    }
    return null;
  }

  #byCertificate({ raw: { socket } }: FastifyRequest): Caller | null {
    // A certificate that nobody of serve.client_ca has signed proves nothing, whatever name is in it.
    if (!(socket instanceof TLSSocket) || !socket.authorized) return null;
    // A certificate may lack a subject, which the types do not know.
    const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>;
    return this.#callerWith(({ certificate }) => certificate !== null && certificate === subject?.CN);
  }

  async #byToken(token: string, address: string): Promise<Caller | null> {
    const hashes = [...this.#entries.values()].flatMap((entry) => entry.token ?? []);
    const hash = await this.#secrets.find(token, hashes, address);
    return hash === null ? null : this.#callerWith((entry) => entry.token === hash);
  }

  async #byPassword({ user, password }: Basic, address: string): Promise<Caller | null> {
    const entry = this.#entries.get(user);
    // An unknown name takes as long as a known one, so that time does not tell which names there are.
    const hash = entry?.password ?? this.#nobodysHash;
    if (hash === null || (await this.#secrets.find(password, [hash], address)) === null) return null;
    return entry === undefined ? null : callerOf(user, entry);
  }

  #callerWith(isTheirs: (entry: AccessEntry) => boolean): Caller | null {
    for (const [name, entry] of this.#entries) if (isTheirs(entry)) return callerOf(name, entry);
    return null;
  }
}

/** The credentials in a header; `null` for garbage, and for a scheme that this server does not know. */
function credentialsIn(authorization: string): Credentials | null {
  const [, scheme = "", value = ""] = /^(\S+) +(\S+) *$/.exec(authorization) ?? [];
  if (scheme.toLowerCase() === "bearer") return { token: value };
  return scheme.toLowerCase() === "basic" ? decodeBasic(value) : null;
}

function decodeBasic(value: string): Basic | null {
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function callerOf(name: string, rights: Rights, session: Session | null = null): Caller {
  const { may, locks } = rights;
  return {
    name,
    rights,
    session,
    may: (right) => may.includes(right),
    mayWith: (right, lock) => may.includes(right) && locks.some((pattern) => matchesPattern(pattern, lock)),
  };
}

/** The caller of a route that answers anybody. */
export const NOBODY = callerOf(ANONYMOUS, { may: [], locks: [] });

/** Asks for credentials. It does not say what was wrong with those that came. */
export function challenge({ headers }: FastifyRequest, reply: FastifyReply): void {
  // On a Basic challenge a browser opens its own dialog, which takes no tokens and cannot sign out; the page has a form instead.
  // All browsers call themselves Mozilla.
  const isBrowser = headers["user-agent"]?.startsWith("Mozilla/") === true;
  void reply.header("WWW-Authenticate", isBrowser ? 'Bearer realm="holdline"' : 'Basic realm="holdline", charset="UTF-8"');
}
