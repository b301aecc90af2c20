// Hashes of secrets: made by `holdline serve --hash`, checked with each request. scrypt is RFC 7914's; its cost is one that
// OWASP's password storage cheat sheet names (N = 2^15, r = 8, p = 3): a quarter of a second and 32 MiB for each check, which
// is why only few are made at once, and none twice.
import { createHmac, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { Buckets } from "./limits.js";

const COST = { N: 2 ** 15, r: 8, p: 3 };
const BYTES = 32;

/** A hash of a secret, in the form that a configuration takes. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(16);
  const { N, r, p } = COST;
  const key = await derive(secret, salt, COST);
  return ["scrypt", N, r, p, salt.toString("base64url"), key.toString("base64url")].join(":");
}

/** A hash that costs as much to check as this one, and of which nobody knows the secret. */
export function nobodysHash(like: string): string {
  const { N, r, p } = partsOf(like);
  return ["scrypt", N, r, p, randomBytes(16).toString("base64url"), randomBytes(BYTES).toString("base64url")].join(":");
}

// Node has four threads for all that blocks: files and names have to be looked up meanwhile.
const MOST_AT_ONCE = 2;
// Whoever comes later would have given up before its turn.
const MOST_IN_LINE = 40;
const RETRY_BUSY_S = 5;
// A pipeline that goes on asking with a token that has been changed costs no more than its first request.
const MOST_WRONG = 1_000;
// What one address may get wrong: a handful of people who mistype, and after that a guess every few seconds.
const ATTEMPTS_AT_ONCE = 20;
const ATTEMPTS_PER_SECOND = 1 / 3;

/** Nothing is known of the secret, because too many are being checked, or this address has had too many wrong ones. */
export class TooManyAttemptsError extends Error {
  constructor(readonly retryAfterS: number) {
    super("too many attempts");
  }
}

/** Finds the hash that a secret is of. What came of it is remembered by a keyed hash of the secret, so that scrypt is paid once. */
export class Secrets {
  readonly #key = randomBytes(32);
  /** By hash, the mark of the secret that it is of. */
  readonly #right = new Map<string, Buffer>();
  /** Marks of secrets together with the hashes of which none is theirs; the oldest first. */
  readonly #wrong = new Set<string>();
  /** Searches that go on: whoever asks the same at the same time shares the answer. */
  readonly #searches = new Map<string, Promise<string | null>>();
  readonly #attempts = new Buckets(ATTEMPTS_PER_SECOND, ATTEMPTS_AT_ONCE);
  #running = 0;
  readonly #line: (() => void)[] = [];

  /**
   * The one of `hashes` that is the secret's, or `null`.
   * @param address who has said it
   * @throws TooManyAttemptsError
   */
  async find(secret: string, hashes: readonly string[], address: string): Promise<string | null> {
    const mark = this.#markOf(secret);
    for (const hash of hashes) {
      const right = this.#right.get(hash);
      if (right !== undefined && timingSafeEqual(right, mark)) return hash;
    }
    const name = this.#markOf(`${mark.toString("hex")} ${hashes.join(" ")}`).toString("base64url");
    if (this.#wrong.has(name)) return null;
    const search = this.#searches.get(name) ?? this.#search(secret, hashes, address);
    this.#searches.set(name, search);
    try {
      const found = await search;
      if (found === null) this.#rememberWrong(name);
      else this.#right.set(found, mark);
      return found;
    } finally {
      this.#searches.delete(name);
    }
  }

  async #search(secret: string, hashes: readonly string[], address: string): Promise<string | null> {
    // Paid before it is known whether it is wrong: else a thousand guesses at once would count as none.
    // Each hash that it may be of is work.
    const waitS = this.#attempts.take(address, hashes.length);
    if (waitS > 0) throw new TooManyAttemptsError(waitS);
    for (const hash of hashes) {
      const { N, r, p, salt, expected } = partsOf(hash);
      const key = await this.#inTurn(() => derive(secret, salt, { N, r, p }));
      if (!timingSafeEqual(key, expected)) continue;
      this.#attempts.give(address, hashes.length);
      return hash;
    }
    return null;
  }

  #rememberWrong(name: string): void {
    this.#wrong.add(name);
    const [oldest] = this.#wrong;
    if (this.#wrong.size > MOST_WRONG && oldest !== undefined) this.#wrong.delete(oldest);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < MOST_AT_ONCE) this.#running += 1;
    else if (this.#line.length >= MOST_IN_LINE) throw new TooManyAttemptsError(RETRY_BUSY_S);
    // Whoever ends passes its turn on, and so the number of those that run stays.
    else await new Promise<void>((resolve) => this.#line.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#line.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #markOf(text: string): Buffer {
    return createHmac("sha256", this.#key).update(text).digest();
  }
}

function partsOf(hash: string) {
  const [, N, r, p, salt = "", expected = ""] = hash.split(":");
  const [saltBytes, key] = [Buffer.from(salt, "base64url"), Buffer.from(expected, "base64url")];
  return { N: Number(N), r: Number(r), p: Number(p), salt: saltBytes, expected: key };
}

function derive(secret: string, salt: Buffer, { N, r, p }: typeof COST): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // scrypt needs 128 N r bytes, and some more.
    scrypt(secret.normalize("NFKC"), salt, BYTES, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
