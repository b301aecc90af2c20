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
const FRESH = 0.6;
const MOMENT_MS = 1;

export class MemorySession implements Session {
  readonly id: string;
  readonly graceMs: number;
  readonly #link: Link;
  readonly #lost = new AbortController();
  readonly #watchdog: () => void;
  readonly #timeoutMs: number;
  readonly #uptime: () => number;
  /** Claims that are held in it and stay ephemeral: what goes on under them must end before it does. */
  readonly #held = new Set<string>();
  /** Once it is lost: what the link says from then on is of the next session. */
  #heldUntil: number | null = null;

  /** @param whenSilentFor calls back after the link has been silent for so long without a break; gives what calls that off */
  constructor(
    id: string,
    link: Link,
    { sessionTimeoutMs: timeoutMs, uptime }: { readonly sessionTimeoutMs: number; readonly uptime: () => number },
    whenSilentFor: (ms: number, session: MemorySession) => () => void,
  ) {
    this.id = id;
    this.#timeoutMs = timeoutMs;
    this.#uptime = uptime;
    this.graceMs = timeoutMs * GRACE;
    this.#link = link;
    this.#watchdog = whenSilentFor(timeoutMs * LOST_AFTER, this);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Only what the leader has answered counts. The store is taken to end a session no sooner than a moment after this. */
  heldUntil(): number {
    return this.#heldUntil ?? this.#uptime() - this.#link.unconfirmedMs + this.#timeoutMs - MOMENT_MS;
  }

  /** Was it confirmed so lately that something can be begun that must end before it does? */
  get isFresh(): boolean {
    return this.#link.unconfirmedMs < this.#timeoutMs * FRESH;
  }

  hold(ref: string): void {
    this.#held.add(ref);
  }

  letGo(ref: string): void {
    this.#held.delete(ref);
  }

  /** A server that lags may answer all the same: is that not enough? */
  get isHeld(): boolean {
    return this.#held.size > 0;
  }

  latestRevision(): number {
    return this.#link.seen;
  }

  /** From now on it counts as lost. */
  end(reason: string): void {
    this.#watchdog();
    this.#heldUntil ??= this.heldUntil();
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
