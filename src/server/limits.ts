// How much of the server one address may have: so many requests a second, so many attempts at a password, so many requests
// that are being answered. An address is the other end of the connection: what a header says of it is anybody's word.
import { performance } from "node:perf_hooks";

// Whoever has more addresses than this drives out what is known of the oldest, and no more than that.
const MOST_ADDRESSES = 10_000;

interface Level {
  tokens: number;
  at: number;
}

/** Token buckets, one for each key: full at first, they fill up at a steady rate. Nothing is kept of those that are full. */
export class Buckets {
  readonly #perSecond: number;
  readonly #capacity: number;
  /** The one that was touched last stands last. */
  readonly #levels = new Map<string, Level>();

  constructor(perSecond: number, capacity: number) {
    this.#perSecond = perSecond;
    this.#capacity = capacity;
  }

  /**
   * Takes tokens; what is more than fits into a bucket empties it.
   * @returns 0, or for how many seconds there are too few
   */
  take(key: string, tokens = 1): number {
    const level = this.#levelOf(key);
    const wanted = Math.min(tokens, this.#capacity);
    if (level.tokens < wanted) return (wanted - level.tokens) / this.#perSecond;
    level.tokens -= wanted;
    return 0;
  }

  /** Gives back what turned out not to be owed. */
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

/** Counts what is going on by key, and in all. */
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
 * What counts as one address: an IPv4 address, or the 64 bits of an IPv6 address that name its network, because whoever has one of
 * those has all of them. Everybody on a socket of this machine's file system is one.
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
