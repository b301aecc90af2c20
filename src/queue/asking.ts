// Asking a store until it answers: again after a lost reply, on another connection after silence, and for no longer than the
// connect timeout. What a repeated question may do twice is for those who ask to know.
import type { Log } from "../locks/log.js";
import { ClosedError, messageOf, UnreachableError } from "../locks/errors.js";
import { type QueueStore, ReplyLostError, type StoreTraits } from "./store.js";

/** Time as the engine goes by it. Tests and the simulation bring their own. */
export interface Timers {
  /** Milliseconds on a clock that counts the machine's sleep; only differences mean anything. */
  uptimeMs(): number;
  /** Calls `run` after `ms`; gives what calls it off. */
  after(ms: number, run: () => void): () => void;
}

/** After this part of the session timeout without a reply the connection counts as dead: two renewals had their chance. */
const SILENT_AFTER = 2 / 3;

// A connection that is refused at once is not tried in a tight loop.
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;

export interface AskingOptions {
  readonly connectTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly timers: Timers;
  readonly log: Log;
}

/** What is asked, as far as it matters here: a store, or the way to one that is not there yet. */
export type Asked = { readonly traits: Pick<StoreTraits, "sessions"> } & Pick<QueueStore, "reconnect">;

/** The store was given up because it has not answered in time. */
class SilenceError extends ReplyLostError {}

/** One try at something: what the store says, or that no reply came. */
type Attempt<T> = (signal: AbortSignal | undefined) => Promise<T>;

export class Asking {
  readonly #store: Asked;
  readonly #options: AskingOptions;
  readonly #silentAfterMs: number;
  #isClosed = false;

  constructor(store: Asked, options: AskingOptions) {
    this.#store = store;
    this.#options = options;
    this.#silentAfterMs = options.sessionTimeoutMs * SILENT_AFTER;
  }

  /** From now on nothing is asked. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * Asks something that is safe to ask twice.
   * @param onLost called after each lost reply, before the question is put again; what it gives is the answer, unless it is `undefined`
   * @throws UnreachableError when the store has not answered within the connect timeout
   */
  async ask<T>(signal: AbortSignal | undefined, attempt: Attempt<T>, onLost?: () => Promise<T | undefined>): Promise<T> {
    // A store in this very process answers or fails: there is no connection to lose.
    if (this.#store.traits.sessions === "process") {
      this.#begin(signal);
      return unlessAborted(signal, attempt(signal));
    }
    const begunAt = this.#options.timers.uptimeMs();
    let pauseMs = FIRST_PAUSE_MS;
    let problem: ReplyLostError | null = null;
    for (let isRetry = false; ; isRetry = true) {
      this.#begin(signal);
      const leftMs = this.#options.connectTimeoutMs - (this.#options.timers.uptimeMs() - begunAt);
      try {
        if (isRetry && onLost !== undefined) {
          const answer = await onLost();
          if (answer !== undefined) return answer;
          this.#begin(signal);
        }
        return await unlessAborted(signal, this.#inTime(Math.max(1, leftMs), attempt(signal)));
      } catch (error) {
        if (!(error instanceof ReplyLostError)) throw error;
        // What the store has said of itself tells more than that the time was over before it could say so once more.
        if (problem === null || !(error instanceof SilenceError)) problem = error;
        if (this.#options.timers.uptimeMs() - begunAt >= this.#options.connectTimeoutMs) throw this.#unreachable(problem);
        await unlessAborted(signal, this.#pause(pauseMs));
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      }
    }
  }

  #begin(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new ClosedError("the coordinator has been closed");
  }

  /** A connection that does not answer is given up, so that the next try has another one. */
  #inTime<T>(leftMs: number, answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const patienceMs = Math.min(leftMs, this.#silentAfterMs);
      const callOff = this.#options.timers.after(patienceMs, () => {
        const why = `no reply within ${Math.round(patienceMs)} ms`;
        this.#store.reconnect(why);
        reject(new SilenceError(why));
      });
      answer.finally(callOff).then(resolve, reject);
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.timers.after(ms, resolve));
  }

  #unreachable(cause: ReplyLostError): UnreachableError {
    const why = cause.message === "" ? "" : ` (${messageOf(cause)})`;
    return new UnreachableError(`the store has not answered within ${this.#options.connectTimeoutMs} ms${why}`, {
      hint: "check the coordinator URL, and that its servers run",
      cause,
    });
  }
}

/** The same, but for an end with the signal's reason as soon as that is aborted. What becomes of `work` then is nobody's matter. */
export function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    const over = (): void => signal.removeEventListener("abort", onAbort);
    work.then(
      (value) => {
        over();
        resolve(value);
      },
      (error: unknown) => {
        over();
        reject(error);
      },
    );
  });
}
