// Whether the mirror is up to date. While it has subscribers, it keeps asking the stores, and tells the subscribers when a store
// stops answering, since when, and when all answer again.
import type { Log } from "../locks/log.js";
import { isoTime } from "../locks/durations.js";
import { messageOf } from "../locks/errors.js";
import { refusalOf } from "./errors.js";
import type { Mirror } from "./mirror.js";
import type { MirroredLock } from "./store-copy.js";

// Together they stay below the five seconds within which the page must know, with some to spare for a busy machine.
const ASKED_EVERY_MS = 1_000;
const SLOWEST_ANSWER_MS = 2_500;
// A question without an answer is given up after this time, so that the next one can be asked.
const LONGEST_QUESTION_MS = 10_000;

/** The locks as far as they are known. */
export interface Known {
  readonly locks: readonly MirroredLock[];
  /** While a store does not answer: the time up to which the locks are known, by its clock, in milliseconds since 1970. Else `null`. */
  readonly silentSince: number | null;
}

//   idle ⇄ (first subscriber, last one gone) asking: answered ⇄ silent
export class Pulse {
  readonly #mirror: Mirror;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #subscribers = new Set<(silentSince: number | null) => void>();
  #silentSince: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isAsking = false;

  /** @param signal ends it */
  constructor(mirror: Mirror, log: Log, signal: AbortSignal) {
    this.#mirror = mirror;
    this.#log = log;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#rest(), { once: true });
  }

  /** Since when a store has not answered; `null` while all answer, and while nobody subscribes. */
  get silentSince(): number | null {
    return this.#silentSince;
  }

  /** Calls `onChange` with the time since when a store is silent, and with `null` when all answer. @returns what ends that */
  subscribe(onChange: (silentSince: number | null) => void): () => void {
    this.#subscribers.add(onChange);
    if (this.#timer === null && !this.#isAsking) void this.#ask();
    return () => {
      this.#subscribers.delete(onChange);
      if (this.#subscribers.size === 0) this.#rest();
    };
  }

  /**
   * The locks as they are; or, when a store does not answer within a few seconds, as they were.
   * @throws the error of a store that does answer
   */
  async look(patience: AbortSignal): Promise<Known> {
    // With subscribers the state is at most a second old.
    if (this.#silentSince === null || this.#subscribers.size === 0) {
      try {
        const locks = await this.#mirror.read(soon(patience));
        this.#become(null);
        return { locks, silentSince: null };
      } catch (error) {
        patience.throwIfAborted();
        if (!isSilence(error)) throw error;
        this.#become(this.#mirror.knownAt(), error);
      }
    }
    return { locks: this.#mirror.latest(), silentSince: this.#silentSince };
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    const late = setTimeout(() => this.#become(this.#mirror.knownAt(), new Error("no answer yet")), SLOWEST_ANSWER_MS);
    try {
      await this.#mirror.read(AbortSignal.any([this.#signal, AbortSignal.timeout(LONGEST_QUESTION_MS)]));
      this.#become(null);
    } catch (error) {
      this.#become(this.#mirror.knownAt(), error);
    } finally {
      clearTimeout(late);
      this.#isAsking = false;
    }
    if (this.#subscribers.size === 0 || this.#signal.aborted) this.#rest();
    else this.#timer = setTimeout(() => void this.#ask(), ASKED_EVERY_MS);
  }

  #become(silentSince: number | null, error?: unknown): void {
    if (this.#signal.aborted || (silentSince === null) === (this.#silentSince === null)) return;
    this.#silentSince = silentSince;
    if (silentSince === null) this.#log.info({}, "all stores answer again");
    else this.#log.warn({ error: messageOf(error), since: isoTime(silentSince) }, "a store does not answer");
    for (const onChange of this.#subscribers) onChange(silentSince);
  }

  /** Stops asking. Without questions nothing is known about the stores. */
  #rest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#silentSince = null;
  }
}

/** A request's signal that is also aborted when a store takes too long. */
export function soon(patience: AbortSignal): AbortSignal {
  return AbortSignal.any([patience, AbortSignal.timeout(SLOWEST_ANSWER_MS)]);
}

/** Whether the error means that a store does not answer. Other errors are faults, not outages. */
export function isSilence(error: unknown): boolean {
  return (error instanceof DOMException && error.name === "TimeoutError") || refusalOf(error).status === 503;
}
