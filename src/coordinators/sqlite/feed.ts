// Telling of all that changes in the database, for those who watch everything. SQLite tells nobody of a commit: that one
// may be coming is seen from its write-ahead log being written to, and what has come from the trail that writers leave.
//
//   idle → (the first watch) looking ⇄ pausing → (the last watch is closed) idle
import type { Change, CoordinatorOptions, StoreWatch } from "../../locks/coordinator.js";
import { bestEffort } from "../../locks/errors.js";
import { Listeners } from "../../locks/listeners.js";
import { watchChanges } from "./changes.js";
import { readClock } from "./clock.js";
import type { Database, Sql } from "./database.js";
import type { Membership } from "./membership.js";
import { followTrail, type Mark, type Step } from "./trail.js";

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
  /** Every change after it is still to be told; `null` where that could not be seen. */
  #seen: Mark | null = null;

  constructor(database: Database, membership: Membership, options: CoordinatorOptions) {
    this.#database = database;
    this.#membership = membership;
    this.#options = options;
  }

  async watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    const { mark } = await this.#database.read(signal, (sql) => followTrail(sql, null));
    const remove = this.#listeners.add(onChange);
    if (this.#stop === null) {
      this.#stop = new AbortController();
      this.#seen = mark;
      void this.#run(this.#stop.signal);
    }
    return {
      caughtUp: async (patience) => {
        const { step, now } = await this.#membership.look("all", patience, (sql) => ({
          step: followTrail(sql, this.#seen),
          now: readClock(sql, this.#membership.time),
        }));
        this.#tellOf(step);
        return { ms: now, errorMs: 0 };
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

  /** Two looks at once may tell of the same changes; none is passed over, because each begins at what has been told of. */
  #tellOf(step: Step | null): void {
    if (step === null) {
      if (this.#seen !== null) this.#listeners.tell(null);
    } else if (step.locks === null) this.#listeners.tell(null);
    else for (const lock of step.locks) this.#listeners.tell({ lock });
    this.#seen = step?.mark ?? null;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { sleepTimeMs, log } = this.#options;
    const writes = watchChanges(`${this.#database.path}-wal`, log);
    // What was committed before the log was watched is found by the first look.
    let pauseMs = SOON_MS;
    let attendedAt = performance.now();
    try {
      for (;;) {
        const isWritten = await writes.next(pauseMs, signal);
        if (signal.aborted) return;
        if (isWritten) pauseMs = SOON_MS;
        else pauseMs = pauseMs < LATE_MS ? Math.min(2 * pauseMs, sleepTimeMs) : sleepTimeMs;
        const isTime = performance.now() - attendedAt >= sleepTimeMs;
        if (isTime) attendedAt = performance.now();
        const step = await this.#look(isTime, signal);
        if (signal.aborted) return;
        this.#tellOf(step);
      }
    } finally {
      writes.close();
    }
  }

  /**
   * What there is now; `null` when that cannot be seen, which those who watch are told as well, and find out why.
   * @param attend look for processes that have ended, too: nothing is written when one does, so that only looking helps
   */
  async #look(attend: boolean, signal: AbortSignal): Promise<Step | null> {
    const follow = (sql: Sql): Step => followTrail(sql, this.#seen);
    let step: Step | null = null;
    await bestEffort(this.#options.log, "the database cannot be watched: it is tried again", async () => {
      step = await (attend ? this.#membership.look("all", signal, follow) : this.#database.read(signal, follow));
    });
    return step;
  }
}
