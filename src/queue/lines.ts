// Watching the queues in which this process waits: one watch and one look for all of its waiters in a queue, however many they are.
import { type Asking, type Timers, unlessAborted } from "./asking.js";
import type { QueueStore, StoreChange, StoredPlace, StoreFeed } from "./store.js";

/** A waiter's share in the watch over a queue, until it is closed. */
export interface LineWatch {
  /** The entries `refs` that are there, as they are after the call began. */
  look(refs: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, StoredPlace>>;
  /** Resolves when what was looked at may have changed since the last look began, after `ms`, and when `signal` is aborted. Never rejects. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

type Look = (lock: string, refs: readonly string[]) => Promise<readonly StoredPlace[]>;

export class Lines {
  readonly #store: QueueStore;
  readonly #asking: Asking;
  readonly #look: Look;
  readonly #timers: Timers;
  readonly #lines = new Map<string, Line>();

  /** @param look reads entries of a queue, and puts away those whose sessions have ended */
  constructor(store: QueueStore, asking: Asking, look: Look, timers: Timers) {
    this.#store = store;
    this.#asking = asking;
    this.#look = look;
    this.#timers = timers;
  }

  /** Joins the watch over a queue. What changes from then on is not missed. */
  async watch(lock: string, signal: AbortSignal): Promise<LineWatch> {
    let line = this.#lines.get(lock);
    if (line === undefined) {
      line = new Line(lock, this.#look, this.#timers, () => this.#lines.delete(lock));
      this.#lines.set(lock, line);
      const tell = (change: StoreChange): void => line?.tell(change);
      line.begin(this.#asking.ask(undefined, (patience) => this.#store.watch(lock, tell, patience)));
    }
    return line.join(signal);
  }
}

/** A look that has not been sent yet: all who ask meanwhile share it. */
interface Gathering {
  readonly refs: Set<string>;
  readonly places: Promise<ReadonlyMap<string, StoredPlace>>;
}

//   beginning → watching → closed (nobody waits here any more)
class Line {
  readonly #lock: string;
  readonly #readPlaces: Look;
  readonly #timers: Timers;
  readonly #onEmpty: () => void;
  readonly #waiters = new Set<Waiter>();
  #feed: Promise<StoreFeed> | null = null;
  #gathering: Gathering | null = null;

  constructor(lock: string, look: Look, timers: Timers, onEmpty: () => void) {
    this.#lock = lock;
    this.#readPlaces = look;
    this.#timers = timers;
    this.#onEmpty = onEmpty;
  }

  begin(feed: Promise<StoreFeed>): void {
    this.#feed = feed;
    feed.catch(() => undefined); // Told to those who join.
  }

  /** The queue has changed, or may have: whoever has looked at what is not as it was looks again. */
  tell(change: StoreChange): void {
    const isAbout = change !== null && "lock" in change ? change.isAbout : undefined;
    for (const waiter of this.#waiters) if (isAbout === undefined || waiter.refs.some(isAbout)) waiter.wake();
  }

  async join(signal: AbortSignal): Promise<LineWatch> {
    const waiter = new Waiter(this.#timers);
    this.#waiters.add(waiter);
    const close = (): void => {
      this.#waiters.delete(waiter);
      if (this.#waiters.size === 0) this.#close();
    };
    try {
      await unlessAborted(signal, this.#feed as Promise<StoreFeed>);
    } catch (error) {
      close();
      throw error;
    }
    return {
      look: (refs, patience) => {
        waiter.isWoken = false;
        waiter.refs = refs;
        return unlessAborted(patience, this.#gather(refs));
      },
      changed: (ms, patience) => waiter.woken(ms, patience),
      close,
    };
  }

  #gather(refs: readonly string[]): Promise<ReadonlyMap<string, StoredPlace>> {
    this.#gathering ??= this.#beginGathering();
    for (const ref of refs) this.#gathering.refs.add(ref);
    return this.#gathering.places;
  }

  #beginGathering(): Gathering {
    const refs = new Set<string>();
    const places = this.#send(refs);
    places.catch(() => undefined); // Told to those who share it.
    return { refs, places };
  }

  async #send(refs: ReadonlySet<string>): Promise<ReadonlyMap<string, StoredPlace>> {
    // All who are woken by one change ask in the same turn.
    await Promise.resolve();
    await Promise.resolve();
    this.#gathering = null;
    const places = await this.#readPlaces(this.#lock, [...refs]);
    return new Map(places.map((place) => [place.ref, place]));
  }

  #close(): void {
    this.#onEmpty();
    this.#feed?.then(
      (feed) => feed.close(),
      () => undefined, // It never stood.
    );
  }
}

class Waiter {
  readonly #timers: Timers;
  isWoken = false;
  /** The entries that it has looked at last. */
  refs: readonly string[] = [];
  #wake: (() => void) | null = null;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  wake(): void {
    this.isWoken = true;
    this.#wake?.();
  }

  woken(ms: number, signal: AbortSignal): Promise<void> {
    if (this.isWoken || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        callOff();
        this.#wake = null;
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const callOff = this.#timers.after(ms, wake);
      this.#wake = wake;
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}
