// A client's session with the in-memory store, as its owner knows it: when it counts as lost, and when the store ends it
// because it hears nothing. There are no pings: a link that is open is a session that lives.
import { LOST_AFTER, type Session } from "../../../src/locks/coordinator.js";
import { SessionLostError } from "../../../src/locks/errors.js";
import type { Link } from "./link.js";
import type { MemoryStore } from "./store.js";

/** Calls `run` after `ms`; gives what calls it off. */
export type After = (ms: number, run: () => void) => () => void;

// As ZooKeeper's coordinator has it: a tenth of the timeout to stop what depends on the session, a tenth for being late.
const GRACE = 0.1;

export class MemorySession implements Session {
  readonly id: string;
  readonly graceMs: number;
  readonly #link: Link;
  readonly #lost = new AbortController();
  readonly #watchdog: () => void;

  /** @param whenSilentFor calls back after the link has been silent for so long without a break; gives what calls that off */
  constructor(id: string, link: Link, timeoutMs: number, whenSilentFor: (ms: number, session: MemorySession) => () => void) {
    this.id = id;
    this.graceMs = timeoutMs * GRACE;
    this.#link = link;
    this.#watchdog = whenSilentFor(timeoutMs * LOST_AFTER, this);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** A link that is open is a session that lives, and one that is cut is told so: nothing has to be confirmed. */
  heldUntil(): number {
    return Number.POSITIVE_INFINITY;
  }

  seen(): number {
    return this.#link.seen;
  }

  /** From now on it counts as lost. */
  end(reason: string): void {
    this.#watchdog();
    if (!this.#lost.signal.aborted) this.#lost.abort(new SessionLostError(reason));
  }
}

/** The store's side of sessions: each is ended when its client has been silent for its timeout. */
export class Silences {
  readonly #store: MemoryStore;
  readonly #after: After;
  readonly #timeoutMs: number;
  readonly #timers = new Map<string, () => void>();

  constructor(store: MemoryStore, timeoutMs: number, after: After) {
    this.#store = store;
    this.#timeoutMs = timeoutMs;
    this.#after = after;
  }

  begin(session: string): void {
    if (this.#timers.has(session)) return;
    this.#timers.set(
      session,
      this.#after(this.#timeoutMs, () => {
        this.#timers.delete(session);
        this.#store.expireSession(session);
      }),
    );
  }

  end(session: string): void {
    this.#timers.get(session)?.();
    this.#timers.delete(session);
  }
}
