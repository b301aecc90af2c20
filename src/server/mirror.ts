// A copy of all locks of all stores, kept up to date by the stores' watches, so that the server reads once what many clients
// ask for often. A reading shows nothing older than the moment of asking.
import { setMaxListeners } from "node:events";
import { lockAsJson } from "../views/json.js";
import { claimsOn } from "../views/lock.js";
import type { SeenLock } from "../views/queues.js";
import { readLocksOf } from "../views/queues.js";
import { storesFor } from "../views/stores.js";
import type { Store, Stores } from "../views/stores.js";
import type { Change, StoreWatch } from "../locks/coordinator.js";
import type { Log } from "../locks/log.js";
import { hasExpired } from "../line/holders.js";
import { HoldlineError, messageOf } from "../locks/errors.js";

/** A lock that somebody claims. */
export interface MirroredLock extends SeenLock {
  /** As JSON in the form of `/v1/locks`, serialized once for a thousand readers. */
  readonly text: string;
}

/** Locks whose queues have changed, and locks that nobody claims any more. */
export interface MirrorChange {
  readonly changed: readonly MirroredLock[];
  readonly gone: readonly string[];
}

// A fleet changes all the time: unless somebody asks, readings are at least this far apart.
const SHORTEST_GAP_MS = 50;
const RETRY_MS = 1_000;

export class Mirror {
  readonly #parts: readonly Part[];
  readonly #subscribers = new Set<(change: MirrorChange) => void>();

  private constructor(parts: readonly Part[]) {
    this.#parts = parts;
    for (const part of parts) part.onChange = (change) => this.#tell(change);
  }

  /** Resolves when all stores are watched and have been read. */
  static async open(stores: Stores, log: Log, signal: AbortSignal): Promise<Mirror> {
    const parts = (await storesFor(stores, null)).map((store) => new Part(store, stores, log, signal));
    const mirror = new Mirror(parts);
    try {
      await Promise.all(parts.map((part) => part.open()));
    } catch (error) {
      mirror.close();
      throw error;
    }
    return mirror;
  }

  /**
   * The locks that somebody claims, sorted by name, with every change that was committed before the call.
   * @throws UnreachableError when a store does not answer
   */
  async read(signal?: AbortSignal): Promise<readonly MirroredLock[]> {
    await Promise.all(this.#parts.map((part) => part.caughtUp(signal)));
    return this.latest();
  }

  /** One lock, or `null` when nobody claims it; see {@link read}. */
  async readOne(lock: string, signal?: AbortSignal): Promise<MirroredLock | null> {
    await Promise.all(this.#parts.map((part) => part.caughtUp(signal)));
    return this.#parts.map((part) => part.locks.get(lock)).find((found) => found !== undefined) ?? null;
  }

  /** The locks as they were read last, without asking a store. */
  latest(): readonly MirroredLock[] {
    const locks = this.#parts.flatMap((part) => [...part.locks.values()]);
    return locks.sort((one, other) => (one.lock < other.lock ? -1 : Number(one.lock > other.lock)));
  }

  /** The time up to which the locks of all stores are known, by the stores' clocks, in milliseconds since 1970. */
  knownAt(): number {
    return Math.min(...this.#parts.map((part) => part.knownAt));
  }

  /** The general store's time, estimated without asking it. */
  now(): number {
    return this.#parts[0]?.now() ?? Date.now();
  }

  /** Calls `onChange` after every change. @returns what ends that */
  subscribe(onChange: (change: MirrorChange) => void): () => void {
    this.#subscribers.add(onChange);
    return () => void this.#subscribers.delete(onChange);
  }

  #tell(change: MirrorChange): void {
    for (const onChange of this.#subscribers) onChange(change);
  }

  close(): void {
    for (const part of this.#parts) part.close();
  }
}

/** What is out of date in the copy of one store. */
interface Stale {
  isAnything: boolean;
  readonly locks: Set<string>;
}

//   opening → fresh ⇄ (told of a change, a lease is over) stale → reading → fresh …; any → closed
class Part {
  readonly locks = new Map<string, MirroredLock>();
  onChange: (change: MirrorChange) => void = () => undefined;
  readonly #store: Store;
  readonly #stores: Stores;
  readonly #log: Log;
  readonly #closed = new AbortController();
  readonly #unlink: () => void;
  #watch: StoreWatch | null = null;
  #stale: Stale = { isAnything: true, locks: new Set() };
  #reading: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #expiry: NodeJS.Timeout | null = null;
  /** The time up to which all changes are known, by the store's clock, in milliseconds since 1970. */
  knownAt = 0;
  /** How far the store's clock was ahead of this process's own when it was last read, in milliseconds. */
  #clockAhead = 0;
  #clockErrorMs = 0;

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
    return this.#stale.isAnything || this.#stale.locks.size > 0;
  }

  #note(change: Change): void {
    if (change === null) this.#stale.isAnything = true;
    else {
      for (const lock of change.locks) this.#stale.locks.add(lock);
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
    this.#stale = { isAnything: false, locks: new Set() };
    try {
      const { signal } = this.#closed;
      const names = stale.isAnything ? null : [...stale.locks].filter((lock) => this.#store.isFor(lock));
      const seen = await readLocksOf(this.#stores, this.#store, names, signal);
      this.#take(seen, names ?? [...this.locks.keys()]);
    } catch (error) {
      this.#stale.isAnything ||= stale.isAnything;
      for (const lock of stale.locks) this.#stale.locks.add(lock);
      // The request gets the error; the subscribers wait for another reading.
      this.#schedule(RETRY_MS);
      throw error;
    }
  }

  /** @param read the locks that were read */
  #take(seen: readonly SeenLock[], read: readonly string[]): void {
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
    this.#awaitExpiry();
    if (changed.length > 0 || gone.length > 0) this.onChange({ changed, gone });
  }

  /** A lease that expires changes nothing in the store by itself. */
  #awaitExpiry(): void {
    if (this.#expiry !== null) clearTimeout(this.#expiry);
    let soonest = Number.POSITIVE_INFINITY;
    for (const lock of this.locks.values())
      for (const { expiresAt } of claimsOn(lock)) soonest = Math.min(soonest, expiresAt ?? Number.POSITIVE_INFINITY);
    if (!Number.isFinite(soonest)) return;
    const leftMs = soonest - performance.now() - this.#clockAhead + this.#clockErrorMs;
    this.#expiry = setTimeout(
      () => {
        this.caughtUp(this.#closed.signal).then(
          () => this.#awaitExpiry(),
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
