// The in-memory store: queues, sessions, liveness entries and history, as a server has them. Every method is one
// transaction. It knows nothing of messages on the way; link.ts carries those, and coordinator.ts is the client.
import type { Claim, ClaimRecord } from "../../../src/locks/claim.js";
import type {
  Draft,
  Ending,
  EntryRef,
  HistoryRecord,
  Keeping,
  JustSettled,
  Settled,
  QueuePosition,
  WriteOutcome,
} from "../../../src/locks/coordinator.js";
import { ClaimLostError, SessionLostError } from "../../../src/locks/errors.js";
import { addRecord, type Contents, copyOf, emptyContents, historyOf, makeFolders, removeFolder } from "./contents.js";
import { claimOf, endedOf, keptOf, settledOf, type StoredEntry, type StoreObserver, type Watch } from "./entry.js";

/** The session named by a request is no longer there. */
export class SessionExpired extends Error {}

export class MemoryStore {
  readonly #onChange = new Set<() => void>();
  /** Who asks; set by whoever carries a request. */
  actor = "";
  observer: StoreObserver | null = null;
  /** Its history takes no records, as where a quota is used up: claims are let go of without. */
  refusesHistory = false;
  /** Told when the last entry of a lock has gone: its folder may be removed from then on, whoever joins meanwhile. */
  onEmptied: (lock: string) => void = () => undefined;
  readonly #now: () => number;
  #contents = emptyContents();
  #watches = new Set<Watch>();

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts transactions, as ZooKeeper's zxid does: revisions and fencing tokens are taken from it. */
  get transactions(): number {
    return this.#contents.transactions;
  }

  /** Has `onChange` called whenever something changes, at the latest before the next is asked; gives what ends that. */
  watch(onChange: () => void): () => void {
    this.#onChange.add(onChange);
    return () => void this.#onChange.delete(onChange);
  }

  #commit(): void {
    this.#contents.transactions += 1;
    for (const onChange of this.#onChange) onChange();
  }

  now(): number {
    return Math.floor(this.#now());
  }

  snapshot(): Contents {
    return copyOf(this.#contents);
  }

  /** Holds what it held then, as a store that was restored from a backup: of the sessions that live now it knows nothing. */
  goBackTo(then: Contents): void {
    const sessions = [...this.#contents.sessions.values()];
    this.#contents = copyOf(then);
    for (const id of this.#contents.sessions.keys()) this.closeSession(id);
    for (const onExpired of sessions) onExpired();
  }

  /** Has a read see no more than what the store held then: a server answers that hears of nothing since, and tells of nothing. */
  answerFrom<T>(then: Contents, read: () => T): T {
    const now = this.#contents;
    const watches = this.#watches;
    this.#contents = then;
    this.#watches = new Set();
    try {
      return read();
    } finally {
      this.#contents = now;
      this.#watches = watches;
    }
  }

  /** @param onExpired told when the session ends otherwise than by `closeSession` */
  openSession(onExpired: () => void): string {
    this.#commit();
    const id = `s${this.#contents.transactions}`;
    this.#contents.sessions.set(id, onExpired);
    return id;
  }

  hasSession(id: string): boolean {
    return this.#contents.sessions.has(id);
  }

  closeSession(id: string): void {
    if (!this.#contents.sessions.delete(id)) return;
    this.#commit();
    for (const [claim, session] of this.#contents.liveness) if (session === id) this.#contents.liveness.delete(claim);
    for (const queue of [...this.#contents.locks.values()])
      this.#remove(
        queue.filter(({ session }) => session === id),
        null,
      );
  }

  expireSession(id: string): void {
    const onExpired = this.#contents.sessions.get(id);
    if (onExpired === undefined) return;
    this.closeSession(id);
    onExpired();
  }

  /** Those of these locks that have no folder, which have to be made with a claim's entries. */
  missingFolders(locks: readonly string[]): readonly string[] {
    return locks.filter((lock) => !this.#contents.folders.has(lock));
  }

  removeFolder(lock: string): void {
    removeFolder(this.#contents, lock);
  }

  /**
   * @param made folders that are made with the entries
   * @throws FolderChanged when others were there before, or those that were counted on have gone
   */
  join(session: string, draft: Draft, made: readonly string[]): QueuePosition[] {
    if (!this.hasSession(session)) throw new SessionExpired();
    const found = draft.locks.map((lock) => this.#queue(lock).find((entry) => entry.id === draft.id && entry.session === session));
    if (found.every((entry) => entry !== undefined)) return found.map((entry) => this.#standingOf(entry));
    for (const lock of draft.locks) {
      // What an earlier session left is dead, and must not stand in the new one's way.
      this.#remove(
        this.#queue(lock).filter((entry) => entry.id === draft.id && entry.session !== null),
        null,
      );
    }
    makeFolders(this.#contents, made, draft.locks);
    this.#commit();
    const { owner, key, slots, reason, data, lease } = draft;
    const record: ClaimRecord = { owner, key, slots, reason, data, lease, made: null, expiresAt: null, failure: null };
    const entries = draft.locks.map((lock) => this.#append(lock, draft.id, session, record));
    this.observer?.joined(entries, this.actor);
    return entries.map((entry) => this.#standingOf(entry));
  }

  standing(entry: EntryRef): QueuePosition {
    const found = this.#find(entry);
    if (found === undefined) throw new ClaimLostError(`the claim was taken out of the queue of ${entry.lock}`);
    return this.#standingOf(found);
  }

  /** Those of `refs` that have left; where there are none, `watch` is set. */
  departed(watch: Watch): readonly string[] {
    const queue = this.#queue(watch.lock);
    const gone = watch.refs.filter((ref) => !queue.some((entry) => entry.ref === ref));
    if (gone.length === 0) this.#watches.add(watch);
    return gone;
  }

  unwatch(watch: Watch): void {
    this.#watches.delete(watch);
  }

  settle(session: string, draft: Draft, places: readonly EntryRef[], record: ClaimRecord): JustSettled {
    const entries = places.map((place) => this.#find(place));
    if (entries.every((entry) => entry !== undefined && entry.session === null && entry.id === draft.id)) {
      // As it was settled: others may have written to it since.
      const settled = (entries as StoredEntry[]).map((entry) => ({ ...entry, revision: entry.fencingToken ?? 0 }));
      return { ...settledOf(settled), since: settled[0]?.since ?? 0 };
    }
    if (!this.hasSession(session)) throw new SessionLostError("the claim went with its session");
    if (entries.some((entry) => entry === undefined)) throw new ClaimLostError("the claim was taken out of the queue");
    const own = entries as StoredEntry[];
    this.#commit();
    for (const entry of own)
      this.#write(entry, { session: null, record, fencingToken: this.#contents.transactions, since: this.now() });
    if (record.lease === null) this.#contents.liveness.set(draft.id, session);
    this.observer?.settled(own, this.actor);
    return { ...settledOf(own), since: own[0]?.since ?? 0 };
  }

  adopt(session: string, id: string, read: readonly EntryRef[], record: ClaimRecord): Settled | "gone" | "changed" {
    const entries = this.#asRead(read);
    if (typeof entries === "string") return entries;
    if (!this.hasSession(session)) throw new SessionExpired();
    const before = entries.map((entry) => ({ ...entry }));
    this.#commit();
    for (const entry of entries) this.#write(entry, { record, fencingToken: this.#contents.transactions });
    this.#contents.liveness.set(id, session);
    this.observer?.adopted(entries, before, this.actor);
    return settledOf(entries);
  }

  update(
    read: readonly EntryRef[],
    record: ClaimRecord,
    keeping: Keeping | undefined,
    historyKeep: number,
  ): Settled | "gone" | "changed" {
    const entries = this.#asRead(read);
    if (typeof entries === "string") return entries;
    const before = entries.map((entry) => ({ ...entry }));
    this.#commit();
    for (const entry of entries) this.#write(entry, { record });
    if (keeping !== undefined && !this.refusesHistory)
      for (const entry of entries) addRecord(this.#contents, keptOf(entry, keeping, this.now()), historyKeep);
    this.observer?.updated(entries, before, this.actor);
    return settledOf(entries);
  }

  leave(id: string, read: readonly EntryRef[], ending: Ending, historyKeep: number): WriteOutcome {
    const entries = this.#asRead(read);
    if (typeof entries === "string") return entries;
    this.#remove(entries, ending);
    if (!this.refusesHistory)
      for (const entry of entries) addRecord(this.#contents, endedOf(entry, ending, this.now()), historyKeep);
    if (![...this.#contents.locks.values()].some((queue) => queue.some((entry) => entry.id === id)))
      this.#contents.liveness.delete(id);
    return "done";
  }

  /** Puts a liveness entry back where the claim is still the one that was settled or adopted with `token`. */
  revive(session: string, id: string, places: readonly EntryRef[], token: number): void {
    if (!this.hasSession(session)) throw new SessionExpired();
    if (places.some((place) => this.#find(place)?.fencingToken !== token)) return;
    this.#commit();
    this.#contents.liveness.set(id, session);
  }

  withdraw(places: readonly EntryRef[]): void {
    const entries = places.map((place) => this.#find(place)).filter((entry) => entry !== undefined && entry.session !== null);
    this.#remove(entries as StoredEntry[], null);
  }

  /** Takes out what a join that nobody waits for has left. */
  withdrawDraft(draft: Draft): void {
    for (const lock of draft.locks)
      this.#remove(
        this.#queue(lock).filter((entry) => entry.id === draft.id && entry.session !== null),
        null,
      );
  }

  queue(lock: string, first: number): readonly Claim[] {
    return this.#queue(lock)
      .slice(0, first)
      .map((entry) => claimOf(entry, this.isLive(entry.id)));
  }

  find(id: string): readonly Claim[] {
    const found = this.entries().filter((entry) => entry.id === id);
    return found.map((entry) => claimOf(entry, this.isLive(entry.id))).sort((one, other) => (one.lock < other.lock ? -1 : 1));
  }

  list(): readonly string[] {
    return [...this.#contents.locks.keys()].sort();
  }

  history(lock: string | null, limit: number): readonly HistoryRecord[] {
    return historyOf(this.#contents, lock, limit);
  }

  /** Every entry of every queue, as it is stored. */
  entries(): StoredEntry[] {
    return [...this.#contents.locks.values()].flat();
  }

  /** A queue as it is stored. */
  stored(lock: string): readonly StoredEntry[] {
    return this.#queue(lock);
  }

  isLive(claim: string): boolean {
    return this.#contents.liveness.has(claim);
  }

  plantGarbage(lock: string): void {
    this.#commit();
    this.#append(lock, `garbage-${this.#contents.transactions}`, "nobody's", null);
  }

  plantGarbageHistory(lock: string): void {
    this.#contents.history.unshift({ lock, garbage: true });
  }

  #queue(lock: string): readonly StoredEntry[] {
    return this.#contents.locks.get(lock) ?? [];
  }

  #append(lock: string, id: string, session: string, record: ClaimRecord | null): StoredEntry {
    const queue = this.#contents.locks.get(lock) ?? [];
    const ref = `${lock}:${this.#contents.transactions}`;
    const entry = { lock, ref, id, session, record, revision: this.#contents.transactions, since: this.now(), fencingToken: null };
    queue.push(entry);
    this.#contents.locks.set(lock, queue);
    this.#contents.folders.set(lock, (this.#contents.folders.get(lock) ?? 0) + 1);
    return entry;
  }

  #write(entry: StoredEntry, changes: Partial<StoredEntry>): void {
    Object.assign(entry, changes, { revision: this.#contents.transactions });
  }

  #remove(entries: readonly StoredEntry[], ending: Ending | null): void {
    if (entries.length === 0) return;
    this.#commit();
    for (const { lock, ref } of entries) {
      const queue = this.#queue(lock).filter((entry) => entry.ref !== ref);
      if (queue.length === 0) this.#contents.locks.delete(lock);
      else this.#contents.locks.set(lock, queue);
      if (queue.length === 0) this.onEmptied(lock);
    }
    this.observer?.left(entries, ending, this.actor);
    for (const watch of [...this.#watches]) {
      const gone = entries.filter(({ lock, ref }) => lock === watch.lock && watch.refs.includes(ref)).map(({ ref }) => ref);
      if (gone.length === 0) continue;
      this.#watches.delete(watch);
      watch.wake(watch.own === undefined || this.#find(watch.own) !== undefined ? gone : null);
    }
  }

  #find({ lock, ref }: { readonly lock: string; readonly ref: string }): StoredEntry | undefined {
    return this.#queue(lock).find((entry) => entry.ref === ref);
  }

  #asRead(read: readonly EntryRef[]): StoredEntry[] | "gone" | "changed" {
    const entries = read.map((entry) => this.#find(entry));
    if (entries.every((entry) => entry === undefined)) return "gone";
    const isAsRead = entries.every((entry, index) => entry?.revision === read[index]?.revision && entry?.session === null);
    return isAsRead ? (entries as StoredEntry[]) : "changed";
  }

  #standingOf({ lock, ref, revision }: StoredEntry): QueuePosition {
    const ahead = [];
    for (const entry of this.#queue(lock)) {
      if (entry.ref === ref) break;
      ahead.push({ ref: entry.ref, key: entry.record?.key ?? null, slots: entry.record?.slots ?? 1 });
    }
    return { lock, ref, revision, ahead };
  }
}
