// Hashes of secrets: `holdline serve --hash` makes them, and requests are checked against them. scrypt is RFC 7914's, with a
// cost from OWASP's password storage cheat sheet (N = 2^15, r = 8, p = 3): a quarter of a second and 32 MiB for each check.
// So only few checks run at once, and their results are remembered.
import { createHmac, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { Buckets } from "./limits.js";

const COST = { N: 2 ** 15, r: 8, p: 3 };
const BYTES = 32;

/** The hash of a secret, in the form of the configuration. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(16);
  const { N, r, p } = COST;
  const key = await derive(secret, salt, COST);
  return ["scrypt", N, r, p, salt.toString("base64url"), key.toString("base64url")].join(":");
}

/** A hash without a known secret that costs as much to check as this one. */
export function nobodysHash(like: string): string {
  const { N, r, p } = partsOf(like);
  return ["scrypt", N, r, p, randomBytes(16).toString("base64url"), randomBytes(BYTES).toString("base64url")].join(":");
}

// Node has four threads for blocking work, and also needs them for files and DNS.
const MOST_AT_ONCE = 2;
// A client further back would give up before its turn.
const MOST_IN_LINE = 40;
const RETRY_BUSY_S = 5;
// A pipeline that keeps asking with an outdated token costs only its first request.
const MOST_WRONG = 1_000;
// For each address: enough for a handful of people who mistype, and after that one guess every few seconds.
const ATTEMPTS_AT_ONCE = 20;
const ATTEMPTS_PER_SECOND = 1 / 3;

/** The secret was not checked: too many checks are under way, or too many wrong ones came from this address. */
export class TooManyAttemptsError extends Error {
  constructor(readonly retryAfterS: number) {
    super("too many attempts");
  }
}

/** Finds the hash of a secret. It remembers results by a keyed hash of the secret, so that each costs scrypt once. */
export class Secrets {
  readonly #key = randomBytes(32);
  /** By hash, the mark of its secret. */
  readonly #right = new Map<string, Buffer>();
  /** Marks of wrong secrets with the hashes that they were compared with; the oldest first. */
  readonly #wrong = new Set<string>();
  /** Searches under way: equal ones share their answer. */
  readonly #searches = new Map<string, Promise<string | null>>();
  readonly #attempts = new Buckets(ATTEMPTS_PER_SECOND, ATTEMPTS_AT_ONCE);
  #running = 0;
  readonly #line: (() => void)[] = [];

  /**
   * The one of `hashes` that belongs to the secret, or `null`.
   * @param address where the secret comes from
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
    // Charged before the check: else a thousand guesses at once would count as none. Each hash to compare with costs a check.
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
    // A check that ends hands its slot over, so that the number of running ones stays.
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
    // scrypt needs a little more than 128 N r bytes.
    scrypt(secret.normalize("NFKC"), salt, BYTES, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
