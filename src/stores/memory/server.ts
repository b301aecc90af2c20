// The in-memory store's server: queues, sessions, archive and documents, and who is told of changes. Every method is one transaction,
// and none waits. How requests come to it is the client's matter: index.ts, or a simulated network's.
import type {
  Appended,
  Archived,
  ArchiveQuery,
  Committed,
  Kept,
  Line,
  Refusal,
  SessionRef,
  Step,
  StoreChange,
  StoredDocument,
  StoredEntry,
  StoredPlace,
} from "../../queue/store.js";
import { type Contents, copyOf, emptyContents, type Entry } from "./contents.js";

export interface MemoryServerOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Calls `run` after `ms`; gives what calls it off. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Whether the store puts away by itself what ended sessions have left, and tells of it; otherwise whoever meets it does. */
  readonly putsAway: boolean;
}

/** Who is told of each commit, after it. */
export interface MemoryObserver {
  /** @param before the entries that were written to or removed, as they were; @param after those that were appended or written to */
  committed(steps: readonly Step[], before: readonly Entry[], after: readonly Entry[]): void;
}

export class MemoryServer {
  observer: MemoryObserver | null = null;
  /** Whether the archive takes no records, as where a quota is used up. */
  hasNoRoom = false;
  readonly #options: MemoryServerOptions;
  readonly #expiries = new Map<string, () => void>();
  readonly #watches = new Set<{ readonly lock: string | null; readonly tell: (change: StoreChange) => void }>();
  #contents: Contents = emptyContents();
  /** Restoring does not bring it back: no session is called like another one. */
  #sessionsOpened = 0;

  constructor(options: MemoryServerOptions) {
    this.#options = options;
  }

  get revision(): number {
    return this.#contents.revision;
  }

  now(): number {
    return Math.floor(this.#options.now());
  }

  commit(steps: readonly Step[]): Committed {
    for (const [step, one] of steps.entries()) {
      const why = this.#refusalOf(one);
      if (why !== null) return { isDone: false, step, why };
    }
    this.#contents.revision += 1;
    const at = this.now();
    const [before, after, changes]: [Entry[], Entry[], StoreChange[]] = [[], [], []];
    const appended: Appended[] = [];
    const kept: Kept[] = [];
    for (const step of steps) this.#carryOut(step, at, { before, after, appended, kept, changes });
    this.observer?.committed(steps, before, after);
    this.#tell(changes);
    return { isDone: true, revision: this.#contents.revision, at, appended, kept };
  }

  line(lock: string, refs?: readonly string[]): Line {
    const places = this.queueOf(lock).map((entry) => this.#placeOf(entry));
    const asked = refs === undefined ? places : places.filter(({ ref }) => refs.includes(ref));
    return { places: asked, revision: this.#contents.revision };
  }

  read(lock: string, first = Number.POSITIVE_INFINITY): readonly StoredEntry[] {
    return this.queueOf(lock)
      .slice(0, first)
      .map((entry) => this.#entryOf(entry));
  }

  readClaim(claim: string): readonly StoredEntry[] {
    const own = this.entries().filter((entry) => entry.claim === claim);
    return own.map((entry) => this.#entryOf(entry)).sort((one, other) => (one.lock < other.lock ? -1 : 1));
  }

  locks(): readonly string[] {
    return [...this.#contents.locks.keys()].sort();
  }

  endedSessions(): readonly string[] {
    return [...this.#contents.sessions].flatMap(([id, { hasEnded }]) => (hasEnded ? [id] : []));
  }

  archived({ lock, limit, before, among }: ArchiveQuery): readonly Archived[] {
    const asked = this.#contents.archive
      .slice(0, among)
      .filter((record) => (lock === null || record.lock === lock) && (before === null || record.sequence < before));
    return asked.slice(0, limit);
  }

  trim(lock: string | null, keep: number, oldest: number): void {
    let kept = 0;
    this.#contents.archive = this.#contents.archive.filter((record) => {
      if (lock !== null && record.lock !== lock) return true;
      kept += 1;
      return kept <= keep && record.endedAt >= oldest;
    });
  }

  document(name: string): StoredDocument | null {
    return this.#contents.documents.get(name) ?? null;
  }

  documents(prefix: string): readonly StoredDocument[] {
    const asked = [...this.#contents.documents.values()].filter(({ name }) => name.startsWith(prefix));
    return asked.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  openSession(timeoutMs: number): string {
    this.#contents.revision += 1;
    this.#sessionsOpened += 1;
    const id = `s${this.#sessionsOpened}`;
    this.#contents.sessions.set(id, { timeoutMs, epoch: 0, hasEnded: false });
    this.#await(id, timeoutMs);
    return id;
  }

  renew({ id, epoch }: SessionRef): boolean {
    const session = this.#contents.sessions.get(id);
    if (session === undefined || session.hasEnded) return false;
    session.epoch = Math.max(session.epoch, epoch);
    this.#await(id, session.timeoutMs);
    return true;
  }

  /** Ends a session as if it had not been renewed for its timeout. */
  expireSession(id: string): void {
    const session = this.#contents.sessions.get(id);
    this.#forgetExpiry(id);
    if (session === undefined || session.hasEnded) return;
    if (this.#options.putsAway) this.commit([{ do: "end", session: id, isEnded: false }]);
    else session.hasEnded = true;
  }

  /** Whether a session is there that has not ended. */
  lives(id: string | null): boolean {
    return id !== null && this.#contents.sessions.get(id)?.hasEnded === false;
  }

  /** Has `tell` called with every change of a lock, or of all (`null`); gives what ends that. */
  watch(lock: string | null, tell: (change: StoreChange) => void): () => void {
    const watch = { lock, tell };
    this.#watches.add(watch);
    return () => void this.#watches.delete(watch);
  }

  /** Every entry of every queue. */
  entries(): readonly Entry[] {
    return [...this.#contents.locks.values()].flat();
  }

  /** The entries of one queue, in order. */
  queueOf(lock: string): readonly Entry[] {
    return this.#contents.locks.get(lock) ?? [];
  }

  snapshot(): Contents {
    return copyOf(this.#contents);
  }

  /** Holds what it held then, as a store that was restored from a backup. No session outlives that. */
  restore(then: Contents): void {
    for (const id of [...this.#expiries.keys()]) this.#forgetExpiry(id);
    this.#contents = copyOf(then);
    for (const id of [...this.#contents.sessions.keys()]) this.commit([{ do: "end", session: id, isEnded: false }]);
    this.#tell([null]);
  }

  /** Reads what the store held then: as a server that has heard of nothing since. */
  readFrom<T>(then: Contents, read: () => T): T {
    const now = this.#contents;
    this.#contents = then;
    try {
      return read();
    } finally {
      this.#contents = now;
    }
  }

  #refusalOf(step: Step): Refusal | null {
    switch (step.do) {
      case "append":
        if (!this.#isOf(step.session)) return "no-session";
        return this.queueOf(step.lock).some(({ claim }) => claim === step.claim) ? "exists" : null;
      case "put":
      case "remove": {
        const entry = this.#find(step);
        if (entry?.claim !== step.claim) return "gone";
        return entry.revision === step.revision && (entry.durable || (step.do === "put" && step.settles)) ? null : "changed";
      }
      case "archive":
        return this.hasNoRoom ? "no-room" : null;
      case "check":
        return this.#isOf(step.session) ? null : "no-session";
      case "end":
        return step.isEnded && this.lives(step.session) ? "changed" : null;
      case "document":
      case "check-document":
        return (this.#contents.documents.get(step.name)?.revision ?? 0) === step.revision ? null : "changed";
      case "own":
      case "withdraw":
        return null;
    }
  }

  #carryOut(
    step: Step,
    at: number,
    done: {
      readonly before: Entry[];
      readonly after: Entry[];
      readonly appended: Appended[];
      readonly kept: Kept[];
      readonly changes: StoreChange[];
    },
  ): void {
    const { revision } = this.#contents;
    switch (step.do) {
      case "append": {
        const { lock, claim, session, key, slots, record } = step;
        const queue = this.queueOf(lock);
        const entry = { lock, ref: String(revision), claim, key, slots, durable: false, session: session.id, revision };
        const whole = { ...entry, token: null, since: at, record };
        this.#contents.locks.set(lock, [...queue, whole]);
        done.appended.push({ ref: whole.ref, ahead: queue.map((other) => this.#placeOf(other)) });
        done.after.push(whole);
        done.changes.push({ lock });
        break;
      }
      case "put": {
        const entry = this.#find(step) as Entry;
        done.before.push({ ...entry });
        entry.record = step.record;
        entry.revision = revision;
        if (step.isNewHolder) entry.token = revision;
        if (step.session !== undefined) entry.session = step.session;
        if (step.settles) [entry.durable, entry.since] = [true, at];
        done.after.push(entry);
        done.changes.push({ lock: step.lock });
        break;
      }
      case "own": {
        const entry = this.#find(step);
        if (entry?.token !== step.token) break;
        entry.session = step.session;
        done.changes.push({ lock: step.lock });
        break;
      }
      case "remove":
      case "withdraw": {
        const entry = this.#find(step);
        if (entry === undefined || (step.do === "withdraw" && entry.durable)) break;
        this.#remove(entry);
        done.before.push(entry);
        done.changes.push({ lock: step.lock });
        break;
      }
      case "archive": {
        const { lock, record, endedAt } = step;
        const sequence = (this.#contents.archive[0]?.sequence ?? 0) + 1;
        this.#contents.archive = [{ lock, sequence, endedAt: endedAt ?? at, record }, ...this.#contents.archive];
        done.kept.push({
          lock,
          sequence,
          isOver: this.#contents.archive.filter((other) => other.lock === lock).length > step.room,
        });
        done.changes.push({ lock });
        break;
      }
      case "end": {
        this.#contents.sessions.delete(step.session);
        this.#forgetExpiry(step.session);
        for (const entry of this.entries().filter(({ session }) => session === step.session)) {
          if (!entry.durable) this.#remove(entry);
          if (!entry.durable) done.before.push(entry);
          done.changes.push({ lock: entry.lock });
        }
        break;
      }
      case "document": {
        const { name, value } = step;
        if (value === null) this.#contents.documents.delete(name);
        else this.#contents.documents.set(name, { name, value, revision });
        done.changes.push({ document: name });
        break;
      }
      case "check":
      case "check-document":
        break;
    }
  }

  #tell(changes: readonly StoreChange[]): void {
    for (const { lock, tell } of [...this.#watches]) {
      for (const change of changes) {
        if (change === null || lock === null || ("lock" in change && change.lock === lock)) tell(change);
      }
    }
  }

  #isOf({ id, epoch }: SessionRef): boolean {
    return this.lives(id) && this.#contents.sessions.get(id)?.epoch === epoch;
  }

  #await(id: string, timeoutMs: number): void {
    this.#forgetExpiry(id);
    this.#expiries.set(
      id,
      this.#options.after(timeoutMs, () => this.expireSession(id)),
    );
  }

  #forgetExpiry(id: string): void {
    this.#expiries.get(id)?.();
    this.#expiries.delete(id);
  }

  #find({ lock, ref }: { readonly lock: string; readonly ref: string }): Entry | undefined {
    return this.queueOf(lock).find((entry) => entry.ref === ref);
  }

  #remove({ lock, ref }: Entry): void {
    const queue = this.queueOf(lock).filter((entry) => entry.ref !== ref);
    if (queue.length === 0) this.#contents.locks.delete(lock);
    else this.#contents.locks.set(lock, queue);
  }

  #placeOf({ ref, claim, key, slots, durable, session, revision }: Entry): StoredPlace {
    return { ref, claim, key, slots, durable, session, isSessionAlive: this.lives(session), revision };
  }

  #entryOf(entry: Entry): StoredEntry {
    const { lock, token, since, record } = entry;
    return { ...this.#placeOf(entry), lock, token, since, record };
  }
}
