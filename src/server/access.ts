// Who asks, and what they may: credentials to a caller, and a caller's rights to locks by name.
import { type PeerCertificate, TLSSocket } from "node:tls";
import type { FastifyReply, FastifyRequest } from "fastify";
import { ANONYMOUS } from "../config/serve.js";
import type { AccessEntry, Right, Settings } from "../config/settings.js";
import type { Claim } from "../locks/claim.js";
import type { Log } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { matchesPattern } from "../locks/patterns.js";
import type { Doors } from "../page/sign-in.js";
import { nobodysHash, Secrets, TooManyAttemptsError } from "./passwords.js";
import { Refusals } from "./refusals.js";
import { countingIds, sessionIdsIn, speaksHttps } from "./session/cookie.js";
import type { Session } from "./session/sessions.js";
import { Sessions } from "./session/sessions.js";

/** What may be done, and to which locks, by patterns of their names. */
export type Rights = Pick<AccessEntry, "may" | "locks">;

/** Who makes a request. */
export interface Caller {
  /** The principal of what it takes and ends. */
  readonly name: string;
  readonly rights: Rights;
  /** The session of the page that it goes by; `null` where the request itself says who it is. */
  readonly session: Session | null;
  /** May it do this to some lock at all? */
  may(right: Right): boolean;
  /** May it do this to the lock? */
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
 * The same for a lock that the caller has not named, but that stands behind an id or a host: callers who may not see it do
 * not learn what it is called.
 * @throws HoldlineError `not-allowed`
 */
export function requireRightBehind(caller: Caller, right: Right, lock: string): void {
  if (caller.mayWith(right, lock)) return;
  throw notAllowed(caller, right, caller.mayWith("read", lock) ? lock : "one of the locks that this is about");
}

function notAllowed({ name }: Caller, right: Right, what: string): HoldlineError {
  return new HoldlineError("not-allowed", `${name} may not ${WORDS[right]} ${what}`, {
    hint: "the rights of each name stand under access: in the server's configuration",
  });
}

/** Is the claim the caller's own? */
export function isOwn(caller: Caller, { owner }: Pick<Claim, "owner">): boolean {
  return owner.principal === caller.name;
}

/**
 * Writing to a claim, and ending it: one's own with the right to lock, another's with the right to clear.
 * @throws HoldlineError `not-allowed`
 */
export function requireOver(caller: Caller, claim: Pick<Claim, "owner">, locks: readonly string[]): void {
  for (const lock of locks) requireRightBehind(caller, isOwn(caller, claim) ? "lock" : "clear", lock);
}

const WORDS: Readonly<Record<Right, string>> = { read: "see", lock: "lock", clear: "clear" };

const EVERYTHING: Rights = { may: ["read", "lock", "clear"], locks: ["*"] };

/** What comes of a request's credentials. */
export type Identified =
  | { readonly outcome: "known"; readonly caller: Caller }
  /** Credentials are needed, or those that were given are wrong. */
  | { readonly outcome: "unknown" }
  /** They were not looked at: too many wrong ones have come from there. */
  | { readonly outcome: "too-many"; readonly retryAfterS: number };

interface Basic {
  readonly user: string;
  readonly password: string;
}

/** What somebody signs in with. */
export type Credentials = Basic | { readonly token: string };

export class Access {
  /** Who has signed in to the page. */
  readonly sessions = new Sessions();
  /** With what one can sign in to it. */
  readonly takes: Doors;
  readonly #entries: ReadonlyMap<string, AccessEntry>;
  readonly #anonymous: Caller | null;
  readonly #secrets = new Secrets();
  readonly #nobodysHash: string | null;
  readonly #refusals: Refusals;

  /** @param own credentials with all rights, beside those that are configured @param log learns of what is refused */
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

  /** Who it is that makes the request, at an address. */
  async identify(request: FastifyRequest, address: string): Promise<Identified> {
    const { authorization } = request.headers;
    if (authorization !== undefined && this.#entries.size > 0) return this.identifyBy(credentialsIn(authorization), address);
    // Where nobody needs credentials, clients that are set up with some are let in all the same, as Locker does.
    const caller = this.#bySession(request) ?? this.#byCertificate(request) ?? this.#anonymous;
    return caller === null ? { outcome: "unknown" } : { outcome: "known", caller };
  }

  /** Who it is that has these credentials, at an address. @param credentials `null` where they are none that are known here */
  async identifyBy(credentials: Credentials | null, address: string): Promise<Identified> {
    const identified = await this.#identified(credentials, address);
    if (identified.outcome !== "known") {
      const user = credentials !== null && "user" in credentials ? credentials.user : null;
      const name = user !== null && this.#entries.has(user) ? user : null;
      this.#refusals.note({ outcome: identified.outcome, address, name });
    }
    return identified;
  }

  /** @param caller `null` for one who is not known */
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
    // A certificate that none of serve.client_ca has signed says nothing, whatever name it has.
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
    // An unknown name takes as long as a known one.
    const hash = entry?.password ?? this.#nobodysHash;
    if (hash === null || (await this.#secrets.find(password, [hash], address)) === null) return null;
    return entry === undefined ? null : callerOf(user, entry);
  }

  #callerWith(isTheirs: (entry: AccessEntry) => boolean): Caller | null {
    for (const [name, entry] of this.#entries) if (isTheirs(entry)) return callerOf(name, entry);
    return null;
  }
}

/** What a request says of who makes it; `null` for what is garbage, and for a scheme that is not spoken here. */
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

/** Who makes a request of a route that answers anybody. */
export const NOBODY = callerOf(ANONYMOUS, { may: [], locks: [] });

/** Refuses a request without credentials that are needed. The words say nothing of what was wrong with them. */
export function challenge({ headers }: FastifyRequest, reply: FastifyReply): void {
  // On a Basic challenge a browser opens its own dialog, which takes no tokens and cannot sign out; the page has a form instead.
  // All browsers call themselves Mozilla.
  const isBrowser = headers["user-agent"]?.startsWith("Mozilla/") === true;
  void reply.header("WWW-Authenticate", isBrowser ? 'Bearer realm="holdline"' : 'Basic realm="holdline", charset="UTF-8"');
}
