// Credentials as tests send them, and hashes of them that cost little to check.
import { randomBytes, scryptSync } from "node:crypto";

/** A hash that costs little to check. */
export function hashOf(secret: string, N = 1_024): string {
  const salt = randomBytes(16);
  const hash = scryptSync(secret.normalize("NFKC"), salt, 32, { N, r: 8, p: 1 });
  return `scrypt:${N}:8:1:${salt.toString("base64url")}:${hash.toString("base64url")}`;
}

export const basic = (user: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

export const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
