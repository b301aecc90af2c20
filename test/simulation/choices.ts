// Every decision of a simulated run, out of one source of numbers: a seed's, or a tape of numbers that were drawn before.
// Zero is always the dullest choice, no fault and first come first served: that is what shrinking goes towards.

export class Choices {
  /** The numbers that were drawn, each from 0 up to 2^32. */
  readonly drawn: number[] = [];
  readonly #tape: readonly number[] | null;
  #state: number;

  private constructor(seed: number, tape: readonly number[] | null) {
    this.#state = seed >>> 0;
    this.#tape = tape;
  }

  static ofSeed(seed: number): Choices {
    // Neighbouring seeds are to have nothing in common.
    return new Choices(Math.imul(seed ^ (seed >>> 16), 0x9e3779b1) ^ 0x5bd1e995, null);
  }

  static ofTape(tape: readonly number[]): Choices {
    return new Choices(0, tape);
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
    const value = this.#tape === null ? this.#random() : (this.#tape[this.drawn.length] ?? 0);
    this.drawn.push(value);
    return value;
  }

  /** mulberry32, by Tommy Ettinger: fast, and good enough to order steps by. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}
