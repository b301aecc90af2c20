// Hashes of secrets: made by `holdline serve --hash`, checked with each request. scrypt is RFC 7914's; its cost is one that
// OWASP's password storage cheat sheet names (N = 2^15, r = 8, p = 3).
import { createHmac, randomBytes, scrypt, timingSafeEqual } from "node:crypto";

const COST = { N: 2 ** 15, r: 8, p: 3 };
const BYTES = 32;

/** A hash of a secret, in the form that a configuration takes. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(16);
  const { N, r, p } = COST;
  const key = await derive(secret, salt, COST);
  return ["scrypt", N, r, p, salt.toString("base64url"), key.toString("base64url")].join(":");
}

/** Checks secrets against hashes. That one was right is remembered, by a keyed hash of it, so that scrypt is paid once. */
export class Secrets {
  readonly #key = randomBytes(32);
  /** By hash, the keyed hash of the secret that it is of. */
  readonly #known = new Map<string, Buffer>();

  /** Takes as long for a wrong secret as for a right one that is seen for the first time. */
  async isRight(secret: string, hash: string): Promise<boolean> {
    const mark = createHmac("sha256", this.#key).update(secret).digest();
    const known = this.#known.get(hash);
    if (known !== undefined && timingSafeEqual(known, mark)) return true;
    const [, N, r, p, salt = "", expected = ""] = hash.split(":");
    const key = await derive(secret, Buffer.from(salt, "base64url"), { N: Number(N), r: Number(r), p: Number(p) });
    const isRight = timingSafeEqual(key, Buffer.from(expected, "base64url"));
    if (isRight) this.#known.set(hash, mark);
    return isRight;
  }
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
