// The questions that a client has put to the in-memory store and not had an answer to: each is asked again when the
// connection was lost, until it is answered, aborted, its session is lost, or the connection is away for too long.
import { UnreachableError } from "../../../src/locks/errors.js";
import { type Link, LinkLost, type Request } from "./link.js";
import type { After, MemorySession } from "./session.js";

interface Ask {
  readonly session: MemorySession | undefined;
  /** The connection is there again. */
  again(): void;
  /** The connection is away. */
  wait(): void;
  fail(error: unknown): void;
}

export class Asks {
  readonly #link: Link;
  readonly #patienceMs: number;
  readonly #after: After;
  readonly #open = new Set<Ask>();
  readonly #silences = new Set<Silence>();
  #isClosed = false;

  constructor(link: Link, patienceMs: number, after: After) {
    this.#link = link;
    this.#patienceMs = patienceMs;
    this.#after = after;
  }

  ask<T>(request: Request, effect: () => T, signal?: AbortSignal, session?: MemorySession): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      let isOver = false;
      let isOnItsWay = false;
      let callOff: (() => void) | null = null;
      const finish = (): boolean => {
        if (isOver) return false;
        isOver = true;
        this.#open.delete(ask);
        signal?.removeEventListener("abort", onAbort);
        callOff?.();
        return true;
      };
      const ask: Ask = {
        session,
        fail: (error) => void (finish() && reject(error)),
        wait: () => {
          callOff ??= this.#after(this.#patienceMs, () => ask.fail(new UnreachableError("the store does not answer")));
        },
        again: () => {
          if (isOver) return;
          if (this.#link.isOpen) {
            callOff?.();
            callOff = null;
          }
          if (isOnItsWay) return;
          if (this.#isClosed) return ask.fail(new UnreachableError("the coordinator is closed"));
          if (session?.lost.aborted === true) return ask.fail(session.lost.reason);
          if (!this.#link.isOpen) ask.wait();
          if (this.#link.isClosed) return;
          isOnItsWay = true;
          this.#link.send(request, effect).then(
            (answer) => void (finish() && resolve(answer)),
            (error: unknown) => {
              isOnItsWay = false;
              if (!(error instanceof LinkLost)) return ask.fail(error);
              // Refused: it is asked again when the link opens.
              if (this.#link.isOpen) ask.again();
              else if (!isOver) ask.wait();
            },
          );
        },
      };
      const onAbort = (): void => ask.fail(signal?.reason);
      signal?.addEventListener("abort", onAbort);
      this.#open.add(ask);
      ask.again();
    });
  }

  /** What `news` brings; `null` when the connection was lost and is there again. */
  untilReconnected<T>(news: Promise<T>, signal: AbortSignal | undefined, session: MemorySession): Promise<T | null> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      if (session.lost.aborted) return reject(session.lost.reason);
      const finish = (): void => {
        this.#open.delete(ask);
        signal?.removeEventListener("abort", onAbort);
      };
      const ask: Ask = {
        session,
        fail: (error) => {
          finish();
          reject(error);
        },
        wait: () => undefined,
        again: () => {
          finish();
          resolve(null);
        },
      };
      const onAbort = (): void => ask.fail(signal?.reason);
      signal?.addEventListener("abort", onAbort);
      this.#open.add(ask);
      void news.then((value) => {
        finish();
        resolve(value);
      });
    });
  }

  async unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (signal === undefined) return work;
    // Whoever has given up is told of nothing that becomes of it.
    work.catch(() => undefined);
    signal.throwIfAborted();
    let onAbort: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort);
    });
    try {
      return await Promise.race([work, aborted]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  onLink(isOpen: boolean): void {
    for (const silence of this.#silences) {
      if (isOpen) silence.end();
      else silence.begin();
    }
    for (const ask of [...this.#open]) {
      if (isOpen) ask.again();
      else ask.wait();
    }
  }

  /** What is answered from now on is not the leader's word. */
  onLag(): void {
    for (const silence of this.#silences) silence.begin();
  }

  onSessionEnd(session: MemorySession): void {
    for (const ask of [...this.#open]) if (ask.session === session) ask.fail(session.lost.reason);
  }

  /** Calls `run` when the link has not been open for `ms` without a break; gives what calls it off. */
  whenSilentFor(ms: number, run: () => void): () => void {
    let callOff: (() => void) | null = null;
    const silence: Silence = {
      begin: () => (callOff ??= this.#after(ms, run)),
      end: () => {
        callOff?.();
        callOff = null;
      },
    };
    this.#silences.add(silence);
    if (!this.#link.isOpen) silence.begin();
    return () => {
      silence.end();
      this.#silences.delete(silence);
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const ask of [...this.#open]) ask.fail(new UnreachableError("the coordinator is closed"));
  }
}

interface Silence {
  begin(): void;
  end(): void;
}
