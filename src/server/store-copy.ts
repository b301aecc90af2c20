// The copy of one store: its locks, nodes and freezes, kept up to date by the store's watch. Readings are shared by all who ask.
import { setMaxListeners } from "node:events";
import { hasExpired } from "../line/holders.js";
import type { Change, StoreWatch } from "../locks/coordinator.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { isInForce } from "../locks/freezes.js";
import type { Freeze } from "../locks/freezes.js";
import type { Log } from "../locks/log.js";
import { lockAsJson } from "../views/json.js";
import { claimsOn } from "../views/lock.js";
import { readLocksOf } from "../views/queues.js";
import type { SeenLock } from "../views/queues.js";
import type { Store, Stores } from "../views/stores.js";
import { DocumentsCopy } from "./documents-copy.js";
import type { ReadDocuments } from "./documents-copy.js";

/** A lock that somebody claims. */
export interface MirroredLock extends SeenLock {
  /** As JSON in the form of `/v1/locks`, serialized once for a thousand readers. */
  readonly text: string;
}

/** What has changed: locks whose queues have, locks that nobody claims any more, and documents. */
export interface MirrorChange {
  readonly changed: readonly MirroredLock[];
  readonly gone: readonly string[];
  /** The names of nodes whose documents have changed or are gone. */
  readonly nodes: readonly string[];
  /** Whether freezes have begun, changed or ended. */
  readonly hasFreezes: boolean;
}

// A fleet changes all the time: unless somebody asks, readings are at least this far apart.
const SHORTEST_GAP_MS = 50;
const RETRY_MS = 1_000;

/** What is out of date in the copy of one store. */
interface Stale {
  isAnything: boolean;
  readonly locks: Set<string>;
  readonly documents: Set<string>;
}

//   opening → fresh ⇄ (told of a change, a lease is over) stale → reading → fresh …; any → closed
export class StoreCopy {
  readonly locks = new Map<string, MirroredLock>();
  readonly documents = new DocumentsCopy();
  onChange: (change: MirrorChange) => void = () => undefined;
  readonly #store: Store;
  readonly #stores: Stores;
  readonly #log: Log;
  readonly #closed = new AbortController();
  readonly #unlink: () => void;
  #watch: StoreWatch | null = null;
  #stale: Stale = { isAnything: true, locks: new Set(), documents: new Set() };
  #reading: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #expiry: NodeJS.Timeout | null = null;
  /** The time up to which all changes are known, by the store's clock, in milliseconds since 1970. */
  knownAt = 0;
  /** How far the store's clock was ahead of this process's own when it was last read, in milliseconds. */
  #clockAhead = 0;
  #clockErrorMs = 0;
  /** The freezes that were in force when somebody was told last. */
  #toldFreezes = "";

  constructor(store: Store, stores: Stores, log: Log, signal: AbortSignal) {
    this.#store = store;
    this.#stores = stores;
    this.#log = log;
    // Many requests wait at once.
    setMaxListeners(0, this.#closed.signal);
    const close = (): void => this.close();
    signal.addEventListener("abort", close, { once: true });
    this.#unlink = () => signal.removeEventListener("abort", close);
  }

  async open(): Promise<void> {
    const { signal } = this.#closed;
    this.#watch = await this.#store.coordinator.watch((change) => this.#note(change), signal);
    await this.caughtUp(signal);
  }

  now(): number {
    return performance.now() + this.#clockAhead;
  }

  /** The freezes in force; `null` where they cannot be read. */
  freezesInForce(): readonly Freeze[] | null {
    const time = { ms: this.now(), errorMs: this.#clockErrorMs };
    return this.documents.freezes?.filter((freeze) => isInForce(freeze, time)) ?? null;
  }

  /** Resolves when the copy is no older than the call. */
  async caughtUp(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const time = await (this.#watch as StoreWatch).caughtUp(signal);
    this.#clockAhead = time.ms - performance.now();
    this.#clockErrorMs = time.errorMs;
    for (const lock of this.locks.values())
      if (claimsOn(lock).some((claim) => hasExpired(claim, time))) this.#stale.locks.add(lock.lock);
    // A reading that is under way may have begun before the call. If it fails, the next one will say why.
    await unlessAborted(
      this.#reading?.catch(() => undefined),
      signal,
    );
    // Another request that waited may have begun the next reading already.
    if (this.#reading !== null || this.#isStale()) await unlessAborted(this.#refresh(), signal);
    signal?.throwIfAborted();
    this.knownAt = Math.max(this.knownAt, time.ms);
  }

  close(): void {
    this.#closed.abort(new HoldlineError("interrupted", "the server shuts down"));
    this.#unlink();
    this.#watch?.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#expiry !== null) clearTimeout(this.#expiry);
  }

  #isStale(): boolean {
    const { isAnything, locks, documents } = this.#stale;
    return isAnything || locks.size > 0 || documents.size > 0;
  }

  #note(change: Change): void {
    if (change === null) this.#stale.isAnything = true;
    else {
      for (const lock of change.locks) this.#stale.locks.add(lock);
      for (const name of change.documents) if (DocumentsCopy.isOurs(name)) this.#stale.documents.add(name);
      for (const id of change.claims)
        for (const lock of this.locks.values())
          if (claimsOn(lock).some((claim) => claim.id === id)) this.#stale.locks.add(lock.lock);
    }
    if (this.#isStale()) this.#schedule(SHORTEST_GAP_MS);
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null || this.#closed.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      // A request has read it meanwhile.
      if (!this.#isStale()) return;
      this.#refresh().catch((error: unknown) => {
        if (this.#closed.signal.aborted) return;
        this.#log.warn({ error: messageOf(error) }, "the locks could not be read; the server tries again");
        this.#schedule(RETRY_MS);
      });
    }, delayMs);
  }

  /** Reads what is out of date; all who ask meanwhile share the reading. */
  #refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null;
      // Changes that came during the reading may not be in it.
      if (this.#isStale()) this.#schedule(SHORTEST_GAP_MS);
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const stale = this.#stale;
    this.#stale = { isAnything: false, locks: new Set(), documents: new Set() };
    try {
      const { signal } = this.#closed;
      const names = stale.isAnything ? null : [...stale.locks].filter((lock) => this.#store.isFor(lock));
      const { coordinator } = this.#store;
      const [seen, documents] = await Promise.all([
        names?.length === 0 ? [] : readLocksOf(this.#stores, this.#store, names, signal),
        this.documents.read(coordinator, stale.isAnything ? null : stale.documents, signal),
      ]);
      this.#take(seen, names ?? [...this.locks.keys()], documents);
    } catch (error) {
      this.#stale.isAnything ||= stale.isAnything;
      for (const lock of stale.locks) this.#stale.locks.add(lock);
      for (const name of stale.documents) this.#stale.documents.add(name);
      // The request gets the error; the subscribers wait for another reading.
      this.#schedule(RETRY_MS);
      throw error;
    }
  }

  /** @param read the locks that were read */
  #take(seen: readonly SeenLock[], read: readonly string[], documents: ReadDocuments): void {
    const found = new Set(seen.map(({ lock }) => lock));
    const gone = read.filter((lock) => !found.has(lock) && this.locks.delete(lock));
    const changed: MirroredLock[] = [];
    for (const lock of seen) {
      const text = JSON.stringify(lockAsJson(lock));
      const mirrored = { ...lock, text };
      const isNew = this.locks.get(lock.lock)?.text !== text;
      this.locks.set(lock.lock, mirrored);
      if (isNew) changed.push(mirrored);
    }
    for (const { now } of seen) this.#clockAhead = now - performance.now();
    const nodes = this.documents.take(documents);
    this.#awaitExpiry();
    this.#tell({ changed, gone, nodes });
  }

  #tell(change: Omit<MirrorChange, "hasFreezes">): void {
    const freezes = JSON.stringify(this.freezesInForce());
    const hasFreezes = freezes !== this.#toldFreezes;
    this.#toldFreezes = freezes;
    if (change.changed.length > 0 || change.gone.length > 0 || change.nodes.length > 0 || hasFreezes)
      this.onChange({ ...change, hasFreezes });
  }

  /** A lease that expires and a freeze that is over change nothing in the store by themselves. */
  #awaitExpiry(): void {
    if (this.#expiry !== null) clearTimeout(this.#expiry);
    let soonest = Number.POSITIVE_INFINITY;
    for (const lock of this.locks.values())
      for (const { expiresAt } of claimsOn(lock)) soonest = Math.min(soonest, expiresAt ?? Number.POSITIVE_INFINITY);
    for (const { until } of this.freezesInForce() ?? []) soonest = Math.min(soonest, until ?? Number.POSITIVE_INFINITY);
    if (!Number.isFinite(soonest)) return;
    const leftMs = soonest - performance.now() - this.#clockAhead + this.#clockErrorMs;
    this.#expiry = setTimeout(
      () => {
        this.caughtUp(this.#closed.signal).then(
          () => {
            this.#tell({ changed: [], gone: [], nodes: [] });
            this.#awaitExpiry();
          },
          () => {
            this.#stale.isAnything = true;
            this.#schedule(RETRY_MS);
          },
        );
      },
      Math.min(LONGEST_TIMER_MS, Math.max(0, leftMs) + AFTER_EXPIRY_MS),
    );
  }
}

/** Waits for a reading, or until the signal is aborted. The reading goes on for others that wait for it. */
async function unlessAborted(reading: Promise<void> | undefined, signal: AbortSignal | undefined): Promise<void> {
  if (reading === undefined || signal === undefined) return reading;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => (onAbort = () => reject(signal.reason as Error)));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([reading, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

// At the very moment of its expiry a lease is not over yet.
const AFTER_EXPIRY_MS = 20;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
