// How much of the server one address may use: requests a second, attempts at a password, open requests. The address is that
// of the connection: anybody can write anything into a header.
import { performance } from "node:perf_hooks";

// An attacker with more addresses than this pushes out the oldest entries, and gains nothing else.
const MOST_ADDRESSES = 10_000;

interface Level {
  tokens: number;
  at: number;
}

/** Token buckets, one for each key. A new bucket is full, and each fills up at a steady rate. */
export class Buckets {
  readonly #perSecond: number;
  readonly #capacity: number;
  /** The bucket that was used last stands last. */
  readonly #levels = new Map<string, Level>();

  constructor(perSecond: number, capacity: number) {
    this.#perSecond = perSecond;
    this.#capacity = capacity;
  }

  /**
   * Takes tokens. Asking for more than fits into a bucket empties it.
   * @returns 0, or for how many seconds there are too few
   */
  take(key: string, tokens = 1): number {
    const level = this.#levelOf(key);
    const wanted = Math.min(tokens, this.#capacity);
    if (level.tokens < wanted) return (wanted - level.tokens) / this.#perSecond;
    level.tokens -= wanted;
    return 0;
  }

  /** Gives tokens back. */
  give(key: string, tokens: number): void {
    const level = this.#levelOf(key);
    level.tokens = Math.min(this.#capacity, level.tokens + tokens);
  }

  #levelOf(key: string): Level {
    const now = performance.now();
    const known = this.#levels.get(key);
    const tokens =
      known === undefined ? this.#capacity : Math.min(this.#capacity, known.tokens + ((now - known.at) * this.#perSecond) / 1_000);
    const level = { tokens, at: now };
    this.#levels.delete(key);
    this.#levels.set(key, level);
    if (this.#levels.size > MOST_ADDRESSES) this.#forgetOldest();
    return level;
  }

  #forgetOldest(): void {
    const [oldest] = this.#levels.keys();
    if (oldest !== undefined) this.#levels.delete(oldest);
  }
}

/** Counts what is under way, by key and in total. */
export class Tally {
  readonly #counts = new Map<string, number>();
  total = 0;

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string): void {
    this.total += 1;
    this.#counts.set(key, this.of(key) + 1);
  }

  remove(key: string): void {
    this.total -= 1;
    const left = this.of(key) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }
}

/**
 * What counts as one address: an IPv4 address, or the network of an IPv6 address, its first 64 bits, because one client can
 * use all addresses of its network. All clients on a Unix socket count as one.
 */
export function networkOf(address: string | undefined): string {
  if (address === undefined) return "local";
  if (!address.includes(":") || address.includes(".")) return address.slice(address.lastIndexOf(":") + 1);
  const [head = "", tail] = address.replace(/%.*$/, "").split("::");
  const groups = head.split(":").filter(Boolean);
  if (tail !== undefined) {
    const last = tail.split(":").filter(Boolean);
    while (groups.length + last.length < 8) groups.push("0");
    groups.push(...last);
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}
