// The in-memory coordinator: the seam's promises over a link that loses messages and a store that ends sessions. Like the
// real ones it looks up what became of a request whose reply was lost, and brings liveness back with a new session.
import type { Claim, ClaimRecord } from "../../../src/locks/claim.js";
import type {
  Coordinator,
  Draft,
  Ending,
  Entry,
  HistoryRecord,
  Joined,
  Settled,
  Standing,
  WriteOutcome,
} from "../../../src/locks/coordinator.js";
import { SessionLostError } from "../../../src/locks/errors.js";
import { Asks } from "./asks.js";
import type { Link, Request } from "./link.js";
import { type After, MemorySession, Silences } from "./session.js";
import { type MemoryStore, SessionExpired, type Watch } from "./store.js";

export interface MemoryOptions {
  readonly connectTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly historyKeep: number;
  /** The client's own timers, which end with it. */
  readonly after: After;
  /** The store's timers. */
  readonly storeAfter: After;
}

/** A claim in this process's hand, whose liveness is put back with each new session. */
interface Holding {
  readonly entries: readonly Entry[];
  readonly fencingToken: number;
}

/**
 * Opens a session on a store.
 * @throws UnreachableError when the store does not answer within the connect timeout
 */
export async function openMemory(store: MemoryStore, link: Link, options: MemoryOptions): Promise<MemoryCoordinator> {
  const coordinator = new MemoryCoordinator(store, link, options);
  await coordinator.connected();
  return coordinator;
}

export class MemoryCoordinator implements Coordinator {
  readonly #store: MemoryStore;
  readonly #link: Link;
  readonly #options: MemoryOptions;
  readonly #asks: Asks;
  readonly #silences: Silences;
  readonly #holdings = new Map<string, Holding>();
  readonly #homes = new Map<string, MemorySession>();
  #session: MemorySession | null = null;
  #renewal: Promise<MemorySession> | null = null;
  #closing: Promise<void> | null = null;

  constructor(store: MemoryStore, link: Link, options: MemoryOptions) {
    this.#store = store;
    this.#link = link;
    this.#options = options;
    this.#asks = new Asks(link, options.connectTimeoutMs, options.after);
    this.#silences = new Silences(store, options.sessionTimeoutMs, options.storeAfter);
    link.onChange = (isOpen) => this.#onLink(isOpen);
  }

  /** The session that there is now, for whoever wants to end it. */
  get session(): MemorySession | null {
    return this.#session;
  }

  /** Its process is killed. @param delivers do requests that are on their way still arrive? */
  die(delivers: boolean): void {
    this.#link.close(delivers);
    if (this.#session !== null) this.#silences.begin(this.#session.id);
  }

  async connected(): Promise<void> {
    await this.#current();
  }

  async join(draft: Draft, signal?: AbortSignal): Promise<Joined> {
    let sent = false;
    try {
      for (;;) {
        const session = await this.#current(signal);
        const asked = this.#ask(request("join", draft.id), () => this.#store.join(session.id, draft), signal, session);
        sent = true;
        try {
          const standings = await asked;
          for (const { ref } of standings) this.#homes.set(ref, session);
          return { session, standings };
        } catch (error) {
          if (!(error instanceof SessionLostError)) throw error;
        }
      }
    } catch (error) {
      // It may have taken effect, in a session that lives on: then it must not stand in anyone's way.
      if (sent) this.#background(request("withdraw", draft.id), () => this.#store.withdrawDraft(draft));
      throw error;
    }
  }

  standing(entry: Entry, signal?: AbortSignal): Promise<Standing> {
    return this.#ask(request("standing", null), () => this.#store.standing(entry), signal, this.#homes.get(entry.ref));
  }

  async departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    const session = joined.session as MemorySession;
    const own = joined.standings.find((standing) => standing.lock === lock && !refs.includes(standing.ref));
    for (;;) {
      let wake: (gone: readonly string[]) => void = () => undefined;
      const told = new Promise<readonly string[]>((resolve) => (wake = resolve));
      const watch: Watch = { lock, refs, wake: (gone) => this.#link.tell(request("left", null), () => wake(gone)) };
      try {
        const look = (): readonly string[] => {
          // Whoever is out of the line itself waits for nothing.
          if (own !== undefined) this.#store.standing(own);
          return this.#store.departed(watch);
        };
        const gone = await this.#ask(request("watch", null), look, signal, session);
        if (gone.length > 0) return gone;
        // An event may have been lost with the connection: then everything is looked at again.
        const news = await this.#asks.untilReconnected(told, signal, session);
        if (news !== null) return news;
      } finally {
        this.#store.unwatch(watch);
      }
    }
  }

  async settle(draft: Draft, joined: Joined, record: ClaimRecord, signal?: AbortSignal): Promise<Settled> {
    const session = joined.session as MemorySession;
    // Not bound to the session: whether it was settled before that ended is for the store to say.
    const settle = (): Settled => this.#store.settle(session.id, draft, joined.standings, record);
    const settled = await this.#ask(request("settle", draft.id), settle, signal);
    this.#take(draft.id, settled, session);
    return settled;
  }

  async adopt(
    id: string,
    entries: readonly Entry[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    let done: Settled | null = null;
    for (;;) {
      const session = await this.#current(signal);
      const adopt = (): Settled | "gone" | "changed" => {
        if (done !== null) return this.#lookUp(done);
        const outcome = this.#store.adopt(session.id, id, entries, record);
        if (typeof outcome !== "string") done = outcome;
        return outcome;
      };
      try {
        const outcome = await this.#ask(request("adopt", id), adopt, signal);
        if (typeof outcome !== "string") this.#take(id, outcome, session);
        return outcome;
      } catch (error) {
        if (!(error instanceof SessionExpired)) throw error;
        this.#ended(session, "the store has ended the session");
      }
    }
  }

  async update(id: string, settled: Settled, record: ClaimRecord, signal?: AbortSignal): Promise<Settled | "gone" | "changed"> {
    let done: Settled | null = null;
    const update = (): Settled | "gone" | "changed" => {
      if (done !== null) return this.#lookUp(done);
      const outcome = this.#store.update(settled.entries, record);
      if (typeof outcome !== "string") done = outcome;
      return outcome;
    };
    return this.#ask(request("update", id), update, signal);
  }

  async withdraw(entries: readonly Entry[]): Promise<void> {
    const home = entries.map(({ ref }) => this.#homes.get(ref)).find((session) => session !== undefined);
    for (const { ref } of entries) this.#homes.delete(ref);
    if (this.#closing !== null || home?.lost.aborted === true) return;
    try {
      await this.#ask(request("withdraw", null), () => this.#store.withdraw(entries), undefined, home);
    } catch {
      // Nothing is left behind: what could not be taken out ends with the session.
      const session = home ?? this.#session;
      if (session !== null) this.#giveUp(session, "a claim could not be withdrawn");
    }
  }

  async leave(id: string, entries: readonly Entry[], ending: Ending, signal?: AbortSignal): Promise<WriteOutcome> {
    let done = false;
    const leave = (): WriteOutcome => {
      if (done) return "done";
      const outcome = this.#store.leave(id, entries, ending, this.#options.historyKeep);
      done = outcome === "done";
      return outcome;
    };
    const outcome = await this.#ask(request("leave", id), leave, signal);
    if (outcome !== "changed") this.#holdings.delete(id);
    return outcome;
  }

  queue(lock: string, signal?: AbortSignal, first = Number.POSITIVE_INFINITY): Promise<readonly Claim[]> {
    return this.#ask(request("queue", null), () => this.#store.queue(lock, first), signal);
  }

  list(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#ask(request("list", null), () => this.#store.list(), signal);
  }

  history(lock: string | null, limit: number, signal?: AbortSignal): Promise<readonly HistoryRecord[]> {
    return this.#ask(request("history", null), () => this.#store.history(lock, limit), signal);
  }

  now(signal?: AbortSignal): Promise<number> {
    return this.#ask(request("now", null), () => this.#store.now(), signal);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const session = this.#session;
    try {
      if (session !== null) await this.#ask(request("close", null), () => this.#store.closeSession(session.id));
    } catch {
      // It ends by its timeout.
      if (session !== null) this.#silences.begin(session.id);
    }
    if (session !== null) {
      session.end("the session was closed");
      this.#asks.onSessionEnd(session);
    }
    this.#asks.close();
    this.#link.close(false);
  }

  #ask<T>(asked: Request, effect: () => T, signal?: AbortSignal, session?: MemorySession): Promise<T> {
    // A session that has ended at the store is not to be told from one that never was: the request says whose it is.
    const checked = (): T => {
      if (session !== undefined && !this.#store.hasSession(session.id)) throw new SessionExpired();
      return effect();
    };
    const asking = this.#asks.ask(asked, checked, signal, session);
    if (session === undefined) return asking;
    return asking.catch((error: unknown) => {
      if (!(error instanceof SessionExpired)) throw error;
      this.#ended(session, "the store has ended the session");
      throw session.lost.reason;
    });
  }

  /** Something that nobody waits for. */
  #background(asked: Request, effect: () => void): void {
    const session = this.#session;
    if (session === null || session.lost.aborted) return;
    this.#ask(asked, effect, undefined, session).catch(() => this.#giveUp(session, "a claim could not be withdrawn"));
  }

  /** After a lost reply: is the claim still as this very request has written it? */
  #lookUp(written: Settled): Settled | "gone" | "changed" {
    const found = written.entries.map(({ lock, ref }) => this.#store.stored(lock).find((entry) => entry.ref === ref));
    if (found.some((entry) => entry === undefined)) return "gone";
    return found.every((entry, index) => entry?.revision === written.entries[index]?.revision) ? written : "changed";
  }

  #take(id: string, { entries, fencingToken }: Settled, session: MemorySession): void {
    this.#holdings.set(id, { entries, fencingToken });
    if (this.#session !== null && this.#session !== session) this.#revive(this.#session, id);
  }

  #revive(session: MemorySession, id: string): void {
    const { entries, fencingToken } = this.#holdings.get(id) as Holding;
    const revive = (): void => this.#store.revive(session.id, id, entries, fencingToken);
    // Where it fails the session has ended, and the next one brings it back.
    this.#ask(request("revive", id), revive, undefined, session).catch(() => undefined);
  }

  /** The session that lives; a new one where the last has ended. */
  #current(signal?: AbortSignal): Promise<MemorySession> {
    if (this.#session !== null && !this.#session.lost.aborted) return Promise.resolve(this.#session);
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = null));
    return this.#asks.unlessAborted(this.#renewal, signal);
  }

  async #renew(): Promise<MemorySession> {
    const { sessionTimeoutMs } = this.#options;
    let id: string | null = null;
    const open = (): string =>
      (id ??= this.#store.openSession(() => this.#link.tell(request("expired", null), () => this.#onExpired(id))));
    const opened = await this.#ask(request("open", null), open);
    const session = new MemorySession(opened, this.#link, sessionTimeoutMs, (ms, silent) =>
      this.#asks.whenSilentFor(ms, () => this.#ended(silent, "the store has not answered for too long")),
    );
    this.#session = session;
    for (const claim of this.#holdings.keys()) this.#revive(session, claim);
    return session;
  }

  #onExpired(id: string | null): void {
    if (this.#session !== null && this.#session.id === id) this.#ended(this.#session, "the store has ended the session");
  }

  #onLink(isOpen: boolean): void {
    const session = this.#session;
    if (session !== null && !isOpen) this.#silences.begin(session.id);
    if (session !== null && isOpen && !session.lost.aborted) this.#silences.end(session.id);
    this.#asks.onLink(isOpen);
    if (session === null || !isOpen || this.#closing !== null) return;
    if (session.lost.aborted) this.#renewInBackground();
    // It may have ended meanwhile, and what the store said of it was lost.
    else this.#ask(request("ping", null), () => undefined, undefined, session).catch(() => undefined);
  }

  /** Regards the session as lost; the store hears no more of it. */
  #giveUp(session: MemorySession, reason: string): void {
    this.#silences.begin(session.id);
    this.#ended(session, reason);
  }

  #ended(session: MemorySession, reason: string): void {
    session.end(reason);
    this.#asks.onSessionEnd(session);
    if (session === this.#session && this.#link.isOpen && this.#closing === null) this.#renewInBackground();
  }

  #renewInBackground(): void {
    this.#current().catch(() => undefined); // Whoever asks next tries again.
  }
}

function request(operation: string, claim: string | null): Request {
  return { operation, claim };
}
