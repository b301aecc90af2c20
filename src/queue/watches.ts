// Telling of all that changes in a store, to everybody in this process who wants to know, over one watch.
//
//   idle → (the first listener) watching → (the last one closes) idle
import type { Change, StoreTime, StoreWatch } from "../locks/coordinator.js";
import { bestEffort, ClosedError } from "../locks/errors.js";
import { Listeners } from "../locks/listeners.js";
import type { Log } from "../locks/log.js";
import type { Asking, Timers } from "./asking.js";
import type { QueueStore, StoreChange, StoreFeed } from "./store.js";

export interface WatchesOptions {
  readonly sleepTimeMs: number;
  readonly timers: Timers;
  readonly log: Log;
}

export class Watches {
  readonly #store: QueueStore;
  readonly #asking: Asking;
  readonly #putAwayEnded: (signal?: AbortSignal) => Promise<void>;
  readonly #options: WatchesOptions;
  readonly #listeners = new Listeners();
  #feed: Promise<StoreFeed> | null = null;
  #callOff: (() => void) | null = null;
  #isClosed = false;

  /** @param putAwayEnded removes what ended sessions have left: where a store does not do so by itself, whoever watches looks after it */
  constructor(store: QueueStore, asking: Asking, putAwayEnded: (signal?: AbortSignal) => Promise<void>, options: WatchesOptions) {
    this.#store = store;
    this.#asking = asking;
    this.#putAwayEnded = putAwayEnded;
    this.#options = options;
  }

  async open(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    if (this.#isClosed) throw new ClosedError("the coordinator has been closed");
    const remove = this.#listeners.add(onChange);
    const close = (): void => {
      remove();
      if (this.#listeners.isEmpty) this.#stop();
    };
    try {
      await this.#begin(signal);
    } catch (error) {
      close();
      throw error;
    }
    return { caughtUp: (patience) => this.#caughtUp(patience), close };
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#stop();
  }

  #begin(signal: AbortSignal | undefined): Promise<StoreFeed> {
    const tell = (change: StoreChange): void => this.#listeners.tell(change);
    return this.#asking.ask(signal, () => {
      if (this.#feed === null) {
        const feed = this.#store.watch(null, tell);
        this.#feed = feed;
        feed.then(
          () => this.#tend(),
          () => {
            if (this.#feed === feed) this.#feed = null;
          },
        );
      }
      return this.#feed;
    });
  }

  async #caughtUp(signal: AbortSignal | undefined): Promise<StoreTime> {
    await this.#putAwayEnded(signal);
    // Nobody would close a watch that is begun for nobody.
    if (this.#listeners.isEmpty) throw new ClosedError("the watch has been closed");
    const feed = await this.#begin(signal);
    return this.#asking.ask(signal, (patience) => feed.caughtUp(patience));
  }

  /** A store that is polled does not notice by itself that a session has ended. */
  #tend(): void {
    if (this.#feed === null || this.#store.traits.wakes !== "poll") return;
    this.#callOff?.();
    this.#callOff = this.#options.timers.after(this.#options.sleepTimeMs, () => {
      const look = (): Promise<void> => this.#putAwayEnded();
      void bestEffort(this.#options.log, "ended sessions could not be looked for: it is tried again", look).then(() =>
        this.#tend(),
      );
    });
  }

  #stop(): void {
    this.#callOff?.();
    this.#callOff = null;
    this.#feed?.then(
      (feed) => feed.close(),
      () => undefined, // It never stood.
    );
    this.#feed = null;
  }
}
