// One receiver, who is told of one event after another, so that a chat shows them in their order. Owns the bounds: how long a
// delivery takes at most, and how many events wait for theirs.
import { messageOf } from "../locks/errors.js";
import type { Log } from "../locks/log.js";

/** A way to a receiver. */
export interface Channel {
  /** Names the receiver in the log, without its secrets. */
  readonly name: string;
  /**
   * @param signal ends the delivery at once
   * @returns what went wrong, without secrets; `null` if the receiver has been told
   */
  deliver(message: string, signal: AbortSignal): Promise<string | null>;
}

interface Letter {
  /** What it says, in few words, for the log. */
  readonly about: string;
  readonly message: string;
}

// A receiver that is this far behind is of no use, and a server must not remember without end.
const MOST_WAITING = 100;

//   idle → delivering → (more wait) delivering … → idle; closed: whatever was not delivered is given up
export class Outbox {
  readonly #channel: Channel;
  readonly #deliveryMs: number;
  readonly #log: Log;
  readonly #closed = new AbortController();
  readonly #waiting: Letter[] = [];
  #delivering: Promise<void> | null = null;

  /** @param deliveryMs how long one delivery takes at most */
  constructor(channel: Channel, deliveryMs: number, log: Log) {
    this.#channel = channel;
    this.#deliveryMs = deliveryMs;
    this.#log = log;
  }

  /** Takes a message and returns at once. */
  send(letter: Letter): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#warn(letter, `${MOST_WAITING} others wait for it already`);
      return;
    }
    this.#waiting.push(letter);
    this.#delivering ??= this.#deliverAll();
  }

  /** Resolves when nothing is left to deliver. */
  async emptied(): Promise<void> {
    while (this.#delivering !== null) await this.#delivering;
  }

  /** Gives up what has not been delivered. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.emptied();
  }

  async #deliverAll(): Promise<void> {
    // The caller goes on first: starting a process takes a moment.
    await new Promise((resolve) => setImmediate(resolve));
    for (let letter = this.#waiting.shift(); letter !== undefined; letter = this.#waiting.shift()) {
      const problem = this.#closed.signal.aborted ? GIVEN_UP : await this.#deliver(letter);
      if (problem !== null) this.#warn(letter, problem);
      else this.#log.debug({ receiver: this.#channel.name }, `${this.#channel.name} was told: ${letter.about}`);
    }
    this.#delivering = null;
  }

  async #deliver({ message }: Letter): Promise<string | null> {
    const ending = new AbortController();
    const { signal } = this.#closed;
    const giveUp = (): void => ending.abort();
    // Not AbortSignal.timeout: its timer would not keep a process alive that waits for nothing else.
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      ending.abort();
    }, this.#deliveryMs);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      const problem = await this.#channel.deliver(message, ending.signal);
      if (problem === null || !ending.signal.aborted) return problem;
      return isLate ? `it took longer than ${this.#deliveryMs / 1_000} s` : GIVEN_UP;
    } catch (error) {
      return messageOf(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    }
  }

  #warn({ about }: Letter, problem: string): void {
    const { name } = this.#channel;
    this.#log.warn({ receiver: name }, `${name} was not told (${about}): ${problem}`);
  }
}

const GIVEN_UP = "holdline ended before that";
