// Whether what is shown of the locks is what the stores hold now: as long as somebody looks, the stores are asked again and
// again, and it is told when one stops answering, since when, and when it answers again.
import type { Log } from "../locks/coordinator.js";
import { isoTime } from "../locks/durations.js";
import { messageOf } from "../locks/errors.js";
import { refusalOf } from "./errors.js";
import type { Mirror, MirroredLock } from "./mirror.js";

// Both together are less than the five seconds within which people are to be told, with some left for a busy machine.
const ASKED_EVERY_MS = 1_000;
const SLOWEST_ANSWER_MS = 2_500;
// A question that nothing becomes of is given up, so that the next one can be asked.
const LONGEST_QUESTION_MS = 10_000;

/** What is known of the locks. */
export interface Known {
  readonly locks: readonly MirroredLock[];
  /** As of when that was so, in milliseconds since 1970 by the store's clock, where a store does not answer; else `null`. */
  readonly silentSince: number | null;
}

//   idle ⇄ (somebody looks, nobody does any more) asking: answered ⇄ silent
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

  /** As of when all locks are known, where a store does not answer those who are told of it; else `null`. */
  get silentSince(): number | null {
    return this.#silentSince;
  }

  /** Has `onChange` called when a store falls silent, with since when, and with `null` when all answer; gives what ends that. */
  subscribe(onChange: (silentSince: number | null) => void): () => void {
    this.#subscribers.add(onChange);
    if (this.#timer === null && !this.#isAsking) void this.#ask();
    return () => {
      this.#subscribers.delete(onChange);
      if (this.#subscribers.size === 0) this.#rest();
    };
  }

  /**
   * The locks as they are; as they were, after a few seconds at most, where a store does not answer.
   * @throws what has gone wrong with a store that answers
   */
  async look(patience: AbortSignal): Promise<Known> {
    // Those who are told of changes know it already.
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

  /** Nobody is told any more, and what is not asked for is not known. */
  #rest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#silentSince = null;
  }
}

/** Has a store a few seconds to answer in, beside all else that may end a request. */
export function soon(patience: AbortSignal): AbortSignal {
  return AbortSignal.any([patience, AbortSignal.timeout(SLOWEST_ANSWER_MS)]);
}

/** Does it mean that a store cannot be asked now? All else is a fault that is not to be taken for an outage. */
export function isSilence(error: unknown): boolean {
  return (error instanceof DOMException && error.name === "TimeoutError") || refusalOf(error).status === 503;
}
