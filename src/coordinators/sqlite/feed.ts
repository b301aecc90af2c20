// Telling of all that changes in the database, for those who watch everything. SQLite tells nobody of a commit: that one
// may be coming is seen from its write-ahead log being written to, and whether it has come from SQLite's own count.
//
//   idle → (the first watch) looking ⇄ pausing → (the last watch is closed) idle
import type { Change, CoordinatorOptions, StoreWatch } from "../../locks/coordinator.js";
import { bestEffort } from "../../locks/errors.js";
import { Listeners } from "../../locks/listeners.js";
import { watchChanges } from "./changes.js";
import { readClock } from "./clock.js";
import type { Database } from "./database.js";
import type { Membership } from "./membership.js";

// The log is written, and brought to the disk, before the commit counts: whoever looks at once may be too early. So the
// next look comes soon, and each one after it twice as late. A disk that takes longer than that is waited for as usual.
const SOON_MS = 1;
const LATE_MS = 128;

export class Feed {
  readonly #database: Database;
  readonly #membership: Membership;
  readonly #options: CoordinatorOptions;
  readonly #listeners = new Listeners();
  #stop: AbortController | null = null;
  /** The version after which every change is still to be told; `null` where that could not be seen. */
  #seen: string | null = null;

  constructor(database: Database, membership: Membership, options: CoordinatorOptions) {
    this.#database = database;
    this.#membership = membership;
    this.#options = options;
  }

  async watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    const seen = await this.#database.version(signal);
    const remove = this.#listeners.add(onChange);
    if (this.#stop === null) {
      this.#stop = new AbortController();
      this.#seen = seen;
      void this.#run(this.#stop.signal);
    }
    return {
      caughtUp: async (patience) => {
        await this.#membership.look("all", patience, () => undefined);
        this.#tellOf(await this.#database.version(patience));
        return this.#database.read(patience, (sql) => readClock(sql, this.#membership.time));
      },
      close: () => {
        remove();
        if (this.#listeners.isEmpty) this.#end();
      },
    };
  }

  close(): void {
    this.#listeners.clear();
    this.#end();
  }

  #end(): void {
    this.#stop?.abort();
    this.#stop = null;
  }

  #tellOf(version: string | null): void {
    if (version === this.#seen) return;
    this.#seen = version;
    // Nothing says what has been written.
    this.#listeners.tell(null);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { pollMs, log } = this.#options;
    const writes = watchChanges(`${this.#database.path}-wal`, log);
    // What was committed before the log was watched is found by the first look.
    let pauseMs = SOON_MS;
    let attendedAt = performance.now();
    try {
      for (;;) {
        const isWritten = await writes.next(pauseMs, signal);
        if (signal.aborted) return;
        if (isWritten) pauseMs = SOON_MS;
        else pauseMs = pauseMs < LATE_MS ? Math.min(2 * pauseMs, pollMs) : pollMs;
        const isTime = performance.now() - attendedAt >= pollMs;
        if (isTime) attendedAt = performance.now();
        const version = await this.#look(isTime, signal);
        if (signal.aborted) return;
        this.#tellOf(version);
      }
    } finally {
      writes.close();
    }
  }

  /**
   * What there is now; `null` when that cannot be seen, which those who watch are told as well, and find out why.
   * @param attend look for processes that have ended, too: nothing is written when one does, so that only looking helps
   */
  async #look(attend: boolean, signal: AbortSignal): Promise<string | null> {
    let version: string | null = null;
    await bestEffort(this.#options.log, "the database cannot be watched: it is tried again", async () => {
      if (attend) await this.#membership.look("all", signal, () => undefined);
      version = await this.#database.version(signal);
    });
    return version;
  }
}
