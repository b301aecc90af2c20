// The sessions of one client of the in-memory store: the one that lives, the next one when it has ended, and the claims in
// hand whose liveness comes back with it. Requests that name a session go through here.
import type { EntryRef, Settled } from "../../../src/locks/coordinator.js";
import { UnreachableError } from "../../../src/locks/errors.js";
import { Asks } from "./asks.js";
import type { Link, Request } from "./link.js";
import { type After, MemorySession, Silences } from "./session.js";
import { type MemoryStore, SessionExpired } from "./store.js";

export interface SessionsOptions {
  readonly connectTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** The node's time since boot, sleep included, in milliseconds. */
  readonly uptime: () => number;
  /** The client's own timers, which end with it. */
  readonly after: After;
  /** The store's timers. */
  readonly storeAfter: After;
}

/** A claim in this process's hand, whose liveness is put back with each new session. */
interface Holding {
  readonly entries: readonly EntryRef[];
  readonly fencingToken: number;
}

export class Sessions {
  readonly asks: Asks;
  readonly #store: MemoryStore;
  readonly #link: Link;
  readonly #options: SessionsOptions;
  readonly #silences: Silences;
  readonly #holdings = new Map<string, Holding>();
  /** Called when the link is there again. */
  onLinked: () => void = () => undefined;
  #session: MemorySession | null = null;
  /** The newest one that the store has opened, whether this client has heard of it or not. */
  #opened: string | null = null;
  #renewal: Promise<MemorySession> | null = null;
  #isClosing = false;

  constructor(store: MemoryStore, link: Link, options: SessionsOptions) {
    this.#store = store;
    this.#link = link;
    this.#options = options;
    this.asks = new Asks(link, options.connectTimeoutMs, options.after);
    this.#silences = new Silences(store, options.sessionTimeoutMs, options.storeAfter);
    link.onLag = () => this.#onLag();
    link.onChange = (isOpen) => this.#onLink(isOpen);
  }

  /** The last one that there was. */
  get session(): MemorySession | null {
    return this.#session;
  }

  /** Its process is killed. */
  die(delivers: boolean): void {
    this.#link.close(delivers);
    if (this.#opened !== null) this.#silences.begin(this.#opened);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    const session = this.#session;
    try {
      if (session !== null) await this.ask(request("close", null), () => this.#store.closeSession(session.id));
    } catch {
      // It ends by its timeout.
      if (session !== null) this.#silences.begin(session.id);
    }
    if (session !== null) {
      session.end("the session was closed");
      this.asks.onSessionEnd(session);
    }
    this.asks.close();
    this.#link.close(false);
    // One that was on its way meanwhile ends by its timeout.
    if (this.#opened !== null && this.#opened !== session?.id) this.#silences.begin(this.#opened);
  }

  ask<T>(asked: Request, effect: () => T, signal?: AbortSignal, session?: MemorySession): Promise<T> {
    // A session that has ended at the store is not to be told from one that never was: the request says whose it is.
    const checked = (): T => {
      if (session !== undefined && !this.#store.hasSession(session.id)) throw new SessionExpired();
      return effect();
    };
    const asking = this.asks.ask(asked, checked, signal, session);
    if (session === undefined) return asking;
    return asking.catch((error: unknown) => {
      if (!(error instanceof SessionExpired)) throw error;
      this.ended(session, "the store has ended the session");
      throw session.lost.reason;
    });
  }

  /** Something that nobody waits for. */
  background(asked: Request, effect: () => void): void {
    const session = this.#session;
    if (session === null || session.lost.aborted) return;
    this.ask(asked, effect, undefined, session).catch(() => this.giveUp(session, "a claim could not be withdrawn"));
  }

  take(id: string, { entries, fencingToken }: Settled, session: MemorySession): void {
    this.#holdings.set(id, { entries, fencingToken });
    if (this.#session !== null && this.#session !== session) this.#revive(this.#session, id);
  }

  #revive(session: MemorySession, id: string): void {
    const { entries, fencingToken } = this.#holdings.get(id) as Holding;
    const revive = (): void => this.#store.revive(session.id, id, entries, fencingToken);
    // Where it fails the session has ended, and the next one brings it back.
    this.ask(request("revive", id), revive, undefined, session).catch(() => undefined);
  }

  /** The session that lives; a new one where the last has ended. */
  current(signal?: AbortSignal): Promise<MemorySession> {
    if (this.#session !== null && !this.#session.lost.aborted) return Promise.resolve(this.#session);
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = null));
    return this.asks.unlessAborted(this.#renewal, signal);
  }

  async #renew(): Promise<MemorySession> {
    let id: string | null = null;
    const open = (): string => {
      id ??= this.#store.openSession(() => this.#link.tell(request("expired", null), () => this.#onExpired(id)));
      this.#opened = id;
      // Its client was killed while this was on its way.
      if (this.#link.isClosed) this.#silences.begin(id);
      return id;
    };
    const opened = await this.ask(request("open", null), open);
    if (this.#isClosing) throw new UnreachableError("the coordinator is closed");
    const session = new MemorySession(opened, this.#link, this.#options, (ms, silent) =>
      this.asks.whenSilentFor(ms, () => {
        if (this.#link.isLagging && !silent.isHeld) return;
        this.giveUp(silent, "the store has not answered for too long");
      }),
    );
    this.#session = session;
    for (const claim of this.#holdings.keys()) this.#revive(session, claim);
    return session;
  }

  #onExpired(id: string | null): void {
    if (this.#session !== null && this.#session.id === id) this.ended(this.#session, "the store has ended the session");
  }

  /** The leader hears no more of this client, which is not told. */
  #onLag(): void {
    if (this.#session === null) return;
    this.#silences.begin(this.#session.id);
    this.asks.onLag();
  }

  #onLink(isOpen: boolean): void {
    const session = this.#session;
    if (session !== null && !isOpen) this.#silences.begin(session.id);
    if (session !== null && isOpen && !session.lost.aborted) this.#silences.end(session.id);
    this.asks.onLink(isOpen);
    if (session === null || !isOpen || this.#isClosing) return;
    this.onLinked();
    if (session.lost.aborted) this.#renewInBackground();
    // It may have ended meanwhile, and what the store said of it was lost.
    else this.ask(request("ping", null), () => undefined, undefined, session).catch(() => undefined);
  }

  /** Regards the session as lost; the store hears no more of it. */
  giveUp(session: MemorySession, reason: string): void {
    this.#silences.begin(session.id);
    this.ended(session, reason);
  }

  ended(session: MemorySession, reason: string): void {
    session.end(reason);
    this.asks.onSessionEnd(session);
    if (session === this.#session && this.#link.isOpen && !this.#isClosing) this.#renewInBackground();
  }

  #renewInBackground(): void {
    this.current().catch(() => undefined); // Whoever asks next tries again.
  }

  /** It is in hand no more. */
  drop(claim: string): void {
    this.#holdings.delete(claim);
  }
}

export function request(operation: string, claim: string | null): Request {
  return { operation, claim };
}
