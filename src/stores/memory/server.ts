// The in-memory store's server: it commits and reads, ends sessions that are not renewed, and tells watchers of changes. Every method
// is one transaction, and none waits. src/queue/model says what a step does; index.ts, or a simulated network, brings the requests.
import type {
  Archived,
  ArchiveQuery,
  Committed,
  Line,
  SessionRef,
  Step,
  StoreChange,
  StoredDocument,
  StoredEntry,
} from "../../queue/store.js";
import { type Contents, copyOf, emptyContents, type Entry, entriesOf, lives, queueOf } from "../../queue/model/contents.js";
import {
  archivedIn,
  documentsIn,
  endedSessions,
  entriesIn,
  entriesOfClaim,
  lineOf,
  lockNames,
  trimmedArchive,
} from "../../queue/model/looks.js";
import { carryOut, refusalOf } from "../../queue/model/steps.js";

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
    const refused = refusalOf(this.#contents, steps);
    if (refused !== null) return refused;
    const tooMuch = this.hasNoRoom ? steps.findIndex(isBookkeeping) : -1;
    if (tooMuch >= 0) return { isDone: false, step: tooMuch, why: "no-room" };
    const at = this.now();
    const done = carryOut(this.#contents, steps, at);
    for (const step of steps) if (step.do === "end") this.#forgetExpiry(step.session);
    this.observer?.committed(steps, done.before, done.after);
    this.#tell(done.changes);
    const { appended, kept } = done;
    return { isDone: true, revision: this.#contents.revision, at, appended, kept };
  }

  line(lock: string, refs?: readonly string[]): Line {
    return lineOf(this.#contents, lock, refs);
  }

  read(lock: string, first?: number): readonly StoredEntry[] {
    return entriesIn(this.#contents, lock, first);
  }

  readClaim(claim: string): readonly StoredEntry[] {
    return entriesOfClaim(this.#contents, claim);
  }

  locks(): readonly string[] {
    return lockNames(this.#contents);
  }

  endedSessions(): readonly string[] {
    return endedSessions(this.#contents);
  }

  archived(query: ArchiveQuery): readonly Archived[] {
    return archivedIn(this.#contents, query);
  }

  trim(lock: string | null, keep: number, oldest: number): void {
    this.#contents.archive = trimmedArchive(this.#contents, lock, keep, oldest);
  }

  document(name: string): StoredDocument | null {
    return this.#contents.documents.get(name) ?? null;
  }

  documents(prefix: string): readonly StoredDocument[] {
    return documentsIn(this.#contents, prefix);
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
    return lives(this.#contents, id);
  }

  /** Has `tell` called with every change of a lock, or of all (`null`); gives what ends that. */
  watch(lock: string | null, tell: (change: StoreChange) => void): () => void {
    const watch = { lock, tell };
    this.#watches.add(watch);
    return () => void this.#watches.delete(watch);
  }

  /** Every entry of every queue. */
  entries(): readonly Entry[] {
    return entriesOf(this.#contents);
  }

  /** The entries of one queue, in order. */
  queueOf(lock: string): readonly Entry[] {
    return queueOf(this.#contents, lock);
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

  #tell(changes: readonly StoreChange[]): void {
    for (const { lock, tell } of [...this.#watches]) {
      for (const change of changes) {
        if (change === null || lock === null || ("lock" in change && change.lock === lock)) tell(change);
      }
    }
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
}

/** What a full store refuses, although everything else could be done. */
function isBookkeeping(step: Step): boolean {
  return step.do === "archive" || (step.do === "document" && step.value !== null);
}
