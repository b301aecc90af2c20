// The history: what is read of the archive counts only within its bounds, and those are brought about now and then behind a release.
import type { HistoryRecord } from "../locks/history.js";
import type { Log } from "../locks/log.js";
import { bestEffort } from "../locks/errors.js";
import type { HistoryBounds } from "../locks/history-bounds.js";
import type { Asking, Timers } from "./asking.js";
import { decodeEnding } from "./records.js";
import type { Archived, ArchiveQuery, Kept, QueueStore } from "./store.js";

// One record in so many has the history of all locks trimmed.
const TRIM_ALL_EVERY = 32;

// The history of one lock grows by so much beyond its bound, as a part of it, until it is trimmed: then one release makes work for many.
const SURPLUS = 1 / 10;

export class History {
  readonly #store: QueueStore;
  readonly #asking: Asking;
  readonly #bounds: HistoryBounds;
  readonly #timers: Timers;
  readonly #log: Log;
  readonly #unfinished = new Map<string, Promise<void>>();

  constructor(
    store: QueueStore,
    asking: Asking,
    bounds: HistoryBounds,
    { timers, log }: { readonly timers: Timers; readonly log: Log },
  ) {
    this.#store = store;
    this.#asking = asking;
    this.#bounds = bounds;
    this.#timers = timers;
    this.#log = log;
  }

  /** How many records a lock may have before it is trimmed. */
  get room(): number {
    return this.#bounds.keep + Math.floor(this.#bounds.keep * SURPLUS);
  }

  /** Newest first, of one lock or of all (`null`). What cannot be read is passed over, and so is what is beyond the bounds. */
  async read(lock: string | null, limit: number, signal?: AbortSignal): Promise<readonly HistoryRecord[]> {
    const oldest = await this.#oldest(signal);
    const records: HistoryRecord[] = [];
    const counts = new Map<string, number>();
    let before: number | null = null;
    while (records.length < limit) {
      const query: ArchiveQuery = { lock, limit: limit - records.length, before, among: this.#bounds.total };
      const page = await this.#asking.ask(signal, (patience) => this.#store.archived(query, patience));
      const last = page.at(-1);
      if (last === undefined) break;
      before = last.sequence;
      for (const archived of page) {
        const count = (counts.get(archived.lock) ?? 0) + 1;
        counts.set(archived.lock, count);
        const record = count > this.#bounds.keep ? null : decodeEnding(archived);
        if (record !== null && record.endedAt > oldest) records.push(record);
      }
      if (lock !== null && (counts.get(lock) ?? 0) >= this.#bounds.keep) break;
    }
    // A lease is recorded some time after its end.
    return records.sort((one, other) => other.endedAt - one.endedAt);
  }

  /** A lock's newest records as the archive keeps them, whether or not they are within the bounds. */
  newest(lock: string, limit: number): Promise<readonly Archived[]> {
    const query: ArchiveQuery = { lock, limit, before: null, among: Number.MAX_SAFE_INTEGER };
    return this.#asking.ask(undefined, (patience) => this.#store.archived(query, patience));
  }

  /** Records were added: it may be time to trim. The caller does not wait for it. */
  grown(kept: readonly Kept[]): void {
    for (const { lock, sequence, isOver } of kept) {
      if (sequence % TRIM_ALL_EVERY === 0) this.#trim(null);
      if (isOver) this.#trim(lock);
    }
  }

  /** Resolves when no trimming is under way any more. */
  async finished(): Promise<void> {
    await Promise.all(this.#unfinished.values());
  }

  #trim(lock: string | null): void {
    const name = lock === null ? "all" : `lock ${lock}`;
    if (this.#unfinished.has(name)) return;
    const trim = async (): Promise<void> => {
      const oldest = lock === null ? await this.#oldest() : Number.NEGATIVE_INFINITY;
      const keep = lock === null ? this.#bounds.total : this.#bounds.keep;
      await this.#asking.ask(undefined, (patience) => this.#store.trim(lock, keep, oldest, patience));
    };
    // In a turn of its own: the release that it comes behind is answered first.
    const done = new Promise<void>((resolve) => void this.#timers.after(0, resolve))
      .then(() => bestEffort(this.#log, "the history was not trimmed; a later release tries again", trim))
      .finally(() => this.#unfinished.delete(name));
    this.#unfinished.set(name, done);
  }

  /** When the oldest record that still counts has ended at the earliest. */
  async #oldest(signal?: AbortSignal): Promise<number> {
    const { forMs } = this.#bounds;
    if (!Number.isFinite(forMs)) return Number.NEGATIVE_INFINITY;
    const { ms } = await this.#asking.ask(signal, (patience) => this.#store.sync(patience));
    return ms - forMs;
  }
}
