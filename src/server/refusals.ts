// Tells the server's log of credentials that were refused: a line each while they are few, and how many more there were.
// What was given as a password or token is in none of them, nor a name that is not configured: people type their password there.
import type { Log } from "../locks/coordinator.js";

// Enough to see who mistypes. Someone who guesses must not fill the disk.
const MOST_LINES = 10;
const PERIOD_MS = 60_000;

export interface Refused {
  readonly outcome: "unknown" | "too-many";
  readonly address: string;
  /** `null` unless it is configured. */
  readonly name: string | null;
}

const WORDS: Readonly<Record<Refused["outcome"], string>> = {
  unknown: "credentials were refused",
  "too-many": "credentials were refused unseen: there were too many attempts",
};

//   quiet → counting (the first refusal) → quiet (a minute later)
export class Refusals {
  readonly #log: Log;
  #isCounting = false;
  #lines = 0;
  #leftOut = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  note({ outcome, address, name }: Refused): void {
    if (!this.#isCounting) {
      this.#isCounting = true;
      // A server that is about to end does not wait for it.
      setTimeout(() => this.#end(), PERIOD_MS).unref();
    }
    if (this.#lines === MOST_LINES) {
      this.#leftOut += 1;
      return;
    }
    this.#lines += 1;
    this.#log.warn({ address, ...(name === null ? {} : { name }) }, WORDS[outcome]);
  }

  #end(): void {
    if (this.#leftOut > 0) this.#log.warn({ count: this.#leftOut }, "more credentials were refused within a minute");
    [this.#isCounting, this.#lines, this.#leftOut] = [false, 0, 0];
  }
}
