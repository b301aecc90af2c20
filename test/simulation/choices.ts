// Every decision of a simulated run, out of one source of numbers: a seed's, or a tape of numbers that were drawn before.
// Zero is always the dullest choice, no fault and first come first served: that is what shrinking goes towards.

export class Choices {
  /** The numbers that were drawn, each from 0 up to 2^32. */
  readonly drawn: number[] = [];
  readonly #tape: readonly number[];
  /** `null`: zeros come after the tape. */
  #state: number | null;

  private constructor(seed: number | null, tape: readonly number[]) {
    this.#state = seed;
    this.#tape = tape;
  }

  static ofSeed(seed: number): Choices {
    return new Choices(scattered(seed), []);
  }

  /** @param seed what comes after the tape; zeros where none is given */
  static ofTape(tape: readonly number[], seed: number | null = null): Choices {
    return new Choices(seed === null ? null : scattered(seed), tape);
  }

  /** A whole number below `count`. */
  below(count: number): number {
    return Math.floor((this.#next() / 2 ** 32) * count);
  }

  /** True in so many of a hundred cases. */
  percent(chance: number): boolean {
    return this.#next() >= 2 ** 32 * (1 - chance / 100);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  #next(): number {
    const value = this.#tape[this.drawn.length] ?? this.#random();
    this.drawn.push(value);
    return value;
  }

  /** mulberry32, by Tommy Ettinger: fast, and good enough to order steps by. */
  #random(): number {
    if (this.#state === null) return 0;
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}

/** Neighbours are to have nothing in common. */
function scattered(seed: number): number {
  return (Math.imul(seed ^ (seed >>> 16), 0x9e3779b1) ^ 0x5bd1e995) >>> 0;
}
