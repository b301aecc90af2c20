// The in-memory coordinator: the seam's promises over a link that loses messages and a store that ends sessions. Like the
// real ones it looks up what became of a request whose reply was lost, and brings liveness back with a new session.
import type { Claim, ClaimRecord } from "../../../src/locks/claim.js";
import type {
  Change,
  Coordinator,
  Draft,
  Ending,
  EntryRef,
  HistoryRecord,
  Joined,
  Keeping,
  JustSettled,
  Settled,
  QueuePosition,
  StoreTime,
  StoreWatch,
  Traits,
  WriteOutcome,
} from "../../../src/locks/coordinator.js";
import { SessionLostError } from "../../../src/locks/errors.js";
import { Listeners } from "../../../src/locks/listeners.js";
import { FolderChanged } from "./contents.js";
import type { Watch } from "./entry.js";
import type { Link } from "./link.js";
import type { MemorySession } from "./session.js";
import { request, Sessions, type SessionsOptions } from "./sessions.js";
import { type MemoryStore, SessionExpired } from "./store.js";

export interface MemoryOptions extends SessionsOptions {
  readonly historyKeep: number;
}

// As ZooKeeper's coordinator has it: each further try is one that somebody has come in between.
const MOST_TRIES = 20;

/**
 * Opens a session on a store.
 * @throws UnreachableError when the store does not answer within the connect timeout
 */
/** The one store there is. */
export const STORE = "memory";

export async function openMemory(store: MemoryStore, link: Link, options: MemoryOptions): Promise<MemoryCoordinator> {
  const coordinator = new MemoryCoordinator(store, link, options);
  await coordinator.connected();
  return coordinator;
}

const TRAITS: Traits = {
  wakes: "push",
  clockErrorMs: 0,
  minSessionMs: 0,
  maxLocks: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  bytesPerLock: 0,
  durability: "quorum",
};

export class MemoryCoordinator implements Coordinator {
  readonly isShared = true;
  readonly traits = TRAITS;
  readonly store = STORE;
  readonly #store: MemoryStore;
  readonly #link: Link;
  readonly #options: MemoryOptions;
  readonly #sessions: Sessions;
  /** The session of each ephemeral entry, by its ref. */
  readonly #homes = new Map<string, MemorySession>();
  readonly #listeners = new Listeners();
  /** Ends what the store tells of changes; `null` where it tells nothing. */
  #unwatch: (() => void) | null = null;
  #closing: Promise<void> | null = null;

  constructor(store: MemoryStore, link: Link, options: MemoryOptions) {
    this.#store = store;
    this.#link = link;
    this.#options = options;
    this.#sessions = new Sessions(store, link, options);
    // What the store has told meanwhile is lost.
    this.#sessions.onLinked = () => this.#listeners.tell(null);
  }

  /** The session that there is now, for whoever wants to end it. */
  get session(): MemorySession | null {
    return this.#sessions.session;
  }

  /** Its process is killed. @param delivers do requests that are on their way still arrive? */
  die(delivers: boolean): void {
    this.#sessions.die(delivers);
  }

  async connected(): Promise<void> {
    await this.#sessions.current();
  }

  async join(draft: Draft, signal?: AbortSignal): Promise<Joined> {
    let sent = false;
    try {
      for (;;) {
        const session = await this.#sessions.current(signal);
        const asked = this.#joinIn(session, draft, signal);
        sent = true;
        try {
          const standings = await asked;
          for (const { ref } of standings) this.#homes.set(ref, session);
          return { session, positions: standings };
        } catch (error) {
          if (!(error instanceof SessionLostError)) throw error;
        }
      }
    } catch (error) {
      // It may have taken effect, in a session that lives on: then it must not stand in anyone's way.
      if (sent) this.#sessions.background(request("withdraw", draft.id), () => this.#store.withdrawDraft(draft));
      throw error;
    }
  }

  /** Makes the folders that are missing, with the entries: they may vanish again whenever they are empty. */
  async #joinIn(session: MemorySession, draft: Draft, signal: AbortSignal | undefined): Promise<QueuePosition[]> {
    let missing: readonly string[] = [];
    for (let tries = 1; ; tries += 1) {
      const made = missing;
      try {
        const join = (): QueuePosition[] => this.#store.join(session.id, draft, made);
        return await this.#sessions.ask(request("join", draft.id), join, signal, session);
      } catch (error) {
        if (!(error instanceof FolderChanged)) throw error;
        if (tries >= MOST_TRIES) throw error;
      }
      const look = (): readonly string[] => this.#store.missingFolders(draft.locks);
      missing = await this.#sessions.ask(request("missing folders", null), look, signal, session);
    }
  }

  position(entry: EntryRef, signal?: AbortSignal): Promise<QueuePosition> {
    return this.#sessions.ask(request("standing", null), () => this.#store.standing(entry), signal, this.#homes.get(entry.ref));
  }

  async departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    const session = joined.session as MemorySession;
    const own = joined.positions.find((standing) => standing.lock === lock && !refs.includes(standing.ref));
    for (;;) {
      let wake: (gone: readonly string[] | null) => void = () => undefined;
      const told = new Promise<readonly string[] | null>((resolve) => (wake = resolve));
      const watch: Watch = { lock, refs, own, wake: (gone) => this.#link.tell(request("left", null), () => wake(gone)) };
      try {
        const look = (): readonly string[] => {
          // Whoever is out of the line itself waits for nothing.
          if (own !== undefined) this.#store.standing(own);
          return this.#store.departed(watch);
        };
        const gone = await this.#sessions.ask(request("watch", null), look, signal, session);
        if (gone.length > 0) return gone;
        // An event may have been lost with the connection: then everything is looked at again.
        const news = await this.#sessions.asks.untilReconnected(told, signal, session);
        if (news !== null) return news;
      } finally {
        this.#store.unwatch(watch);
      }
    }
  }

  async settle(draft: Draft, joined: Joined, record: ClaimRecord, signal?: AbortSignal): Promise<JustSettled> {
    const session = joined.session as MemorySession;
    // Not bound to the session: whether it was settled before that ended is for the store to say.
    const settle = (): JustSettled => this.#store.settle(session.id, draft, joined.positions, record);
    const settled = await this.#sessions.ask(request("settle", draft.id), settle, signal);
    if (record.lease === null) this.#sessions.take(draft.id, settled, session);
    return settled;
  }

  async adopt(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    let done: Settled | null = null;
    for (;;) {
      const session = await this.#sessions.current(signal);
      const adopt = (): Settled | "gone" | "changed" => {
        if (done !== null) return this.#lookUp(done);
        const outcome = this.#store.adopt(session.id, id, entries, record);
        if (typeof outcome !== "string") done = outcome;
        return outcome;
      };
      try {
        const outcome = await this.#sessions.ask(request("adopt", id), adopt, signal);
        if (typeof outcome !== "string") this.#sessions.take(id, outcome, session);
        return outcome;
      } catch (error) {
        if (!(error instanceof SessionExpired)) throw error;
        this.#sessions.ended(session, "the store has ended the session");
      }
    }
  }

  async update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed"> {
    let done: Settled | null = null;
    const update = (): Settled | "gone" | "changed" => {
      if (done !== null) return this.#lookUp(done);
      const outcome = this.#store.update(settled.entries, record, keeping, this.#options.historyKeep);
      if (typeof outcome !== "string") done = outcome;
      return outcome;
    };
    return this.#sessions.ask(request("update", id), update, signal);
  }

  async confirm(joined: Joined, signal?: AbortSignal): Promise<void> {
    const session = joined.session as MemorySession;
    session.lost.throwIfAborted();
    for (const { ref } of joined.positions) session.hold(ref);
    if (!session.isFresh) await this.#sessions.ask(request("confirm", null), () => undefined, signal, session);
  }

  async withdraw(entries: readonly EntryRef[]): Promise<void> {
    const home = entries.map(({ ref }) => this.#homes.get(ref)).find((session) => session !== undefined);
    for (const { ref } of entries) {
      this.#homes.get(ref)?.letGo(ref);
      this.#homes.delete(ref);
    }
    if (this.#closing !== null || home?.lost.aborted === true) return;
    try {
      await this.#sessions.ask(request("withdraw", null), () => this.#store.withdraw(entries), undefined, home);
    } catch {
      // Nothing is left behind: what could not be taken out ends with the session.
      const session = home ?? this.session;
      if (session !== null) this.#sessions.giveUp(session, "a claim could not be withdrawn");
    }
  }

  async leave(id: string, entries: readonly EntryRef[], ending: Ending, signal?: AbortSignal): Promise<WriteOutcome> {
    let done = false;
    const leave = (): WriteOutcome => {
      if (done) return "done";
      const outcome = this.#store.leave(id, entries, ending, this.#options.historyKeep);
      done = outcome === "done";
      return outcome;
    };
    const outcome = await this.#sessions.ask(request("leave", id), leave, signal);
    if (outcome !== "changed") this.#sessions.drop(id);
    return outcome;
  }

  queue(lock: string, signal?: AbortSignal, first = Number.POSITIVE_INFINITY): Promise<readonly Claim[]> {
    return this.#sessions.ask(request("queue", null), () => this.#store.queue(lock, first), signal);
  }

  find(id: string, signal?: AbortSignal): Promise<readonly Claim[]> {
    return this.#sessions.ask(request("find", null), () => this.#store.find(id), signal);
  }

  list(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#sessions.ask(request("list", null), () => this.#store.list(), signal);
  }

  history(lock: string | null, limit: number, signal?: AbortSignal): Promise<readonly HistoryRecord[]> {
    return this.#sessions.ask(request("history", null), () => this.#store.history(lock, limit), signal);
  }

  async watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    const tell = (): void => this.#link.tell(request("changed", null), () => this.#listeners.tell(null));
    const set = (): void => void (this.#unwatch ??= this.#store.watch(tell));
    const remove = this.#listeners.add(onChange);
    const close = (): void => {
      remove();
      if (this.#listeners.isEmpty) this.#endWatch();
    };
    try {
      await this.#sessions.ask(request("watch all", null), set, signal);
    } catch (error) {
      close();
      throw error;
    }
    const caughtUp = async (patience?: AbortSignal): Promise<StoreTime> => {
      const now = await this.#sessions.ask(request("caught up", null), () => ({ ms: this.#store.now(), errorMs: 0 }), patience);
      // What was to be told may still be on its way: whoever looks now misses nothing.
      this.#listeners.tell(null);
      return now;
    };
    return { caughtUp, close };
  }

  #endWatch(): void {
    this.#unwatch?.();
    this.#unwatch = null;
  }

  sync(signal?: AbortSignal): Promise<StoreTime> {
    return this.#sessions.ask(request("now", null), () => ({ ms: this.#store.now(), errorMs: 0 }), signal);
  }

  close(): Promise<void> {
    this.#listeners.clear();
    this.#endWatch();
    this.#closing ??= this.#sessions.close();
    return this.#closing;
  }

  /** After a lost reply: is the claim still as this very request has written it? */
  #lookUp(written: Settled): Settled | "gone" | "changed" {
    const found = written.entries.map(({ lock, ref }) => this.#store.stored(lock).find((entry) => entry.ref === ref));
    if (found.some((entry) => entry === undefined)) return "gone";
    return found.every((entry, index) => entry?.revision === written.entries[index]?.revision) ? written : "changed";
  }
}
