// Telling of all that changes in the database. SQLite tells nobody of a commit: that one may be coming is seen from its write-ahead
// log being written to, and what has come from the trail that writers leave.
import type { CoordinatorOptions, StoreTime } from "../../locks/coordinator.js";
import { bestEffort } from "../../locks/errors.js";
import type { StoreChange, StoreFeed } from "../../queue/store.js";
import { watchChanges } from "./changes.js";
import { readClock, type TimeSource } from "./clock.js";
import type { Database, Sql } from "./database.js";
import { changeIn, followTrail, type Mark, type Step } from "./trail.js";

// The log is written, and brought to the disk, before the commit counts: whoever looks at once may be too early. So the
// next look comes soon, and each one after it twice as late. A disk that takes longer than that is waited for as usual.
const SOON_MS = 1;
const LATE_MS = 128;

/** Opens a feed: what is committed from then on is told. */
export async function openFeed(
  database: Database,
  time: TimeSource,
  options: Pick<CoordinatorOptions, "sleepTimeMs" | "log">,
  onChange: (change: StoreChange) => void,
  signal?: AbortSignal,
): Promise<StoreFeed> {
  const { mark } = await database.read(signal, (sql) => followTrail(sql, null));
  return new Feed(database, time, options, onChange, mark);
}

//   looking ⇄ pausing → closed
class Feed implements StoreFeed {
  readonly #database: Database;
  readonly #time: TimeSource;
  readonly #options: Pick<CoordinatorOptions, "sleepTimeMs" | "log">;
  readonly #onChange: (change: StoreChange) => void;
  readonly #stop = new AbortController();
  /** Every change after it is still to be told; `null` where that could not be seen. */
  #seen: Mark | null;

  constructor(
    database: Database,
    time: TimeSource,
    options: Pick<CoordinatorOptions, "sleepTimeMs" | "log">,
    onChange: (change: StoreChange) => void,
    mark: Mark,
  ) {
    this.#database = database;
    this.#time = time;
    this.#options = options;
    this.#onChange = onChange;
    this.#seen = mark;
    void this.#run(this.#stop.signal);
  }

  async caughtUp(signal?: AbortSignal): Promise<StoreTime> {
    const { step, now } = await this.#database.read(signal, (sql) => ({
      step: followTrail(sql, this.#seen),
      now: readClock(sql, this.#time),
    }));
    this.#tellOf(step);
    return { ms: now, errorMs: 0 };
  }

  close(): void {
    this.#stop.abort();
  }

  /** Two looks at once may tell of the same changes; none is passed over, because each begins at what has been told. */
  #tellOf(step: Step | null): void {
    if (this.#stop.signal.aborted) return;
    if (step === null) {
      if (this.#seen !== null) this.#onChange(null);
    } else if (step.written === null) this.#onChange(null);
    else for (const name of step.written) this.#onChange(changeIn(name));
    this.#seen = step?.mark ?? null;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { sleepTimeMs, log } = this.#options;
    const writes = watchChanges(`${this.#database.path}-wal`, log);
    // What was committed before the log was watched is found by the first look.
    let pauseMs = SOON_MS;
    try {
      for (;;) {
        const isWritten = await writes.next(pauseMs, signal);
        if (signal.aborted) return;
        if (isWritten) pauseMs = SOON_MS;
        else pauseMs = pauseMs < LATE_MS ? Math.min(2 * pauseMs, sleepTimeMs) : sleepTimeMs;
        const step = await this.#look(signal);
        if (signal.aborted) return;
        this.#tellOf(step);
      }
    } finally {
      writes.close();
    }
  }

  /** What has been written since the last look; `null` when that cannot be seen, which the listener is told as well and finds out why. */
  async #look(signal: AbortSignal): Promise<Step | null> {
    const follow = (sql: Sql): Step => followTrail(sql, this.#seen);
    let step: Step | null = null;
    await bestEffort(this.#options.log, "the database cannot be watched: it is tried again", async () => {
      step = await this.#database.read(signal, follow);
    });
    return step;
  }
}
