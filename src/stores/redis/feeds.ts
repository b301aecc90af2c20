// Who is told of changes: by messages of the root's channel on the store's own connection, and by a look when the next session can have
// ended, of which no message tells.
import { bestEffort } from "../../locks/errors.js";
import type { Log } from "../../locks/log.js";
import type { StoreChange } from "../../queue/store.js";
import type { Link } from "./link.js";

interface Watcher {
  readonly lock: string | null;
  readonly tell: (change: StoreChange) => void;
}

/** Which sessions have ended, and in how many milliseconds the next one may. */
export interface Endings {
  readonly ended: readonly string[];
  readonly nextMs: number | null;
}

export interface FeedsOptions {
  readonly channel: string;
  /** At least so often it is looked whether a session has ended. */
  readonly lookEveryMs: number;
  readonly log: Log;
  readonly look: () => Promise<Endings>;
}

export class Feeds {
  readonly #options: FeedsOptions;
  readonly #watchers = new Set<Watcher>();
  #subscribed: { readonly link: Link; readonly done: Promise<void> } | null = null;
  #leaving: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #toldEnded: ReadonlySet<string> = new Set();

  constructor(options: FeedsOptions) {
    this.#options = options;
  }

  get isWatched(): boolean {
    return this.#watchers.size > 0;
  }

  /** @returns what ends it */
  add(lock: string | null, tell: (change: StoreChange) => void): () => void {
    const watcher = { lock, tell };
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
      if (!this.isWatched) this.#rest();
    };
  }

  /** Listens on this link, unless it does already. Whoever watches has missed what came before. */
  async listen(link: Link): Promise<void> {
    // The client would take a channel that is being left for one that it listens on.
    await this.#leaving;
    if (!this.isWatched) return;
    if (this.#subscribed?.link !== link) {
      const done = link.subscribe(this.#options.channel, (message) => this.#heard(message));
      this.#subscribed = { link, done };
      await done;
      for (const { tell } of [...this.#watchers]) tell(null);
    }
    await this.#subscribed.done;
    if (this.#timer === null) this.#lookIn(0);
  }

  close(): void {
    this.#watchers.clear();
    this.#rest();
  }

  /** Nobody watches any more. */
  #rest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const subscribed = this.#subscribed;
    this.#subscribed = null;
    if (subscribed === null || subscribed.link.isGone) return;
    this.#leaving = bestEffort(this.#options.log, "what is still told is heard by nobody", async () => {
      await subscribed.done;
      await subscribed.link.unsubscribe(this.#options.channel);
    });
  }

  #heard(message: string): void {
    for (const change of (JSON.parse(message) as readonly (PublishedChange | null)[]).map(changeOf)) {
      for (const { lock, tell } of [...this.#watchers]) {
        if (change === null || lock === null || ("lock" in change && change.lock === lock)) tell(change);
      }
    }
  }

  #lookIn(ms: number): void {
    const timer = setTimeout(() => {
      void this.#look().then((nextMs) => {
        if (this.#timer === timer) this.#lookIn(nextMs);
      });
    }, ms);
    this.#timer = timer;
  }

  async #look(): Promise<number> {
    const { lookEveryMs, log, look } = this.#options;
    let nextMs = lookEveryMs;
    await bestEffort(log, "ended sessions could not be looked for: it is tried again", async () => {
      const endings = await look();
      const isNew = endings.ended.some((session) => !this.#toldEnded.has(session));
      this.#toldEnded = new Set(endings.ended);
      // A session ends with its millisecond.
      nextMs = Math.min(nextMs, (endings.nextMs ?? nextMs) + 1);
      if (isNew) for (const { tell } of [...this.#watchers]) tell(null);
    });
    return nextMs;
  }
}

/** A change as a commit publishes it. */
interface PublishedChange {
  readonly lock?: string;
  readonly document?: string;
  /** The entries that are not as they were, each with a space before it; undefined: it may be any. */
  readonly refs?: string;
}

function changeOf(published: PublishedChange | null): StoreChange {
  const { lock, document, refs } = published ?? {};
  if (lock === undefined) return document === undefined ? null : { document };
  return refs === undefined ? { lock } : { lock, isAbout: (ref) => refs.split(" ").includes(ref) };
}
