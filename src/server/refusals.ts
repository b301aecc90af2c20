// Logs refused credentials: a line each while they are few, and then how many more there were. No line has a password or a
// token, nor a name that is not configured, because people type their password there by mistake.
import type { Log } from "../locks/log.js";

// Enough to see who mistypes. An attacker who guesses must not fill the disk.
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
  "too-many": "credentials were refused unchecked: too many attempts",
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
      // It must not keep the process alive.
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
