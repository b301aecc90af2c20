// Who asks, and what they may: credentials to a caller, and a caller's rights to locks by name.
import type { TLSSocket } from "node:tls";
import type { FastifyReply, FastifyRequest } from "fastify";
import { ANONYMOUS } from "../config/serve.js";
import type { AccessEntry, Right, Settings } from "../config/settings.js";
import { HoldlineError } from "../locks/errors.js";
import { Secrets } from "./passwords.js";

/** Who makes a request. */
export interface Caller {
  /** The principal of what it takes and ends. */
  readonly name: string;
  /** May it do this to some lock at all? */
  may(right: Right): boolean;
  /** May it do this to the lock? */
  mayWith(right: Right, lock: string): boolean;
}

declare module "fastify" {
  interface FastifyRequest {
    caller: Caller;
  }
}

/** @throws HoldlineError `not-allowed` */
export function requireRight(caller: Caller, right: Right, lock: string): void {
  if (caller.mayWith(right, lock)) return;
  throw new HoldlineError("not-allowed", `${caller.name} may not ${WORDS[right]} ${lock}`, {
    hint: "the rights of each name stand under access: in the server's configuration",
  });
}

const WORDS: Readonly<Record<Right, string>> = { read: "see", lock: "lock", clear: "clear" };

const EVERYTHING: Pick<AccessEntry, "may" | "locks"> = { may: ["read", "lock", "clear"], locks: ["*"] };

interface Basic {
  readonly user: string;
  readonly password: string;
}

export class Access {
  readonly #entries: readonly (readonly [string, AccessEntry])[];
  readonly #anonymous: Caller | null;
  readonly #secrets = new Secrets();

  /** @param own credentials with all rights, beside those that are configured */
  constructor(settings: Settings, own: { readonly user: string; readonly hash: string } | null) {
    const entries = new Map(settings.access);
    if (own !== null) entries.set(own.user, { ...EVERYTHING, password: own.hash, token: null, certificate: null });
    const anonymous = entries.get(ANONYMOUS);
    entries.delete(ANONYMOUS);
    this.#entries = [...entries];
    if (anonymous !== undefined) this.#anonymous = callerOf(ANONYMOUS, anonymous);
    else this.#anonymous = entries.size === 0 ? callerOf(settings.principal, EVERYTHING) : null;
  }

  /** Who it is; `null` when credentials are needed, or those that were given are wrong. */
  async identify(request: FastifyRequest): Promise<Caller | null> {
    const { authorization } = request.headers;
    if (authorization === undefined) return this.#byCertificate(request) ?? this.#anonymous;
    const [, scheme = "", value = ""] = /^(\S+) +(\S+) *$/.exec(authorization) ?? [];
    if (scheme.toLowerCase() === "bearer") return this.#byToken(value);
    const basic = scheme.toLowerCase() === "basic" ? decodeBasic(value) : null;
    return basic === null ? null : this.#byPassword(basic);
  }

  #byCertificate({ raw: { socket } }: FastifyRequest): Caller | null {
    if (!("authorized" in socket) || socket.authorized !== true) return null;
    const name = (socket as TLSSocket).getPeerCertificate().subject.CN;
    const entry = this.#entries.find(([, { certificate }]) => certificate !== null && certificate === name);
    return entry === undefined ? null : callerOf(...entry);
  }

  async #byToken(token: string): Promise<Caller | null> {
    for (const [name, entry] of this.#entries)
      if (entry.token !== null && (await this.#secrets.isRight(token, entry.token))) return callerOf(name, entry);
    return null;
  }

  async #byPassword({ user, password }: Basic): Promise<Caller | null> {
    const found = this.#entries.find(([name, entry]) => name === user && entry.password !== null);
    // An unknown name takes as long as a known one.
    const isRight = await this.#secrets.isRight(password, found?.[1].password ?? NOBODYS_HASH);
    return found !== undefined && isRight ? callerOf(...found) : null;
  }
}

const NOBODYS_HASH = `scrypt:32768:8:3:${"A".repeat(22)}:${"A".repeat(43)}`;

function decodeBasic(value: string): Basic | null {
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function callerOf(name: string, { may, locks }: Pick<AccessEntry, "may" | "locks">): Caller {
  const patterns = locks.map((pattern) => pattern.split("*"));
  return {
    name,
    may: (right) => may.includes(right),
    mayWith: (right, lock) => may.includes(right) && patterns.some((pieces) => matches(pieces, lock)),
  };
}

/** Do the pieces of a pattern, between which anything may stand, make up the text? */
function matches(pieces: readonly string[], text: string): boolean {
  const [first = "", ...others] = pieces;
  const last = others.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const piece of others) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return text.length - at >= last.length && text.endsWith(last);
}

/** Refuses a request without credentials that are needed. The words say nothing of what was wrong with them. */
export function challenge(reply: FastifyReply): void {
  void reply.header("WWW-Authenticate", 'Basic realm="holdline", charset="UTF-8"');
}
