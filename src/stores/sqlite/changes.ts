// Waking those who wait in other processes. SQLite tells nobody of a commit, so whoever lets others go on touches the
// database's file after it, and the waiters watch that file. It only saves time: all of them look again now and then anyway.
import { type FSWatcher, utimesSync, watch } from "node:fs";
import type { Log } from "../../locks/log.js";
import { bestEffort } from "../../locks/errors.js";

/** Tells the waiters of all processes that somebody has left a queue. Called after the commit, so that they see it. */
export function announceChange(path: string, log: Log): void {
  const now = new Date();
  void bestEffort(log, "waiters were not woken: they look for themselves within their poll interval", () =>
    utimesSync(path, now, now),
  );
}

/** Notices announcements from the moment on at which it is opened. @param onNotice called with each of them */
export function watchChanges(path: string, log: Log, onNotice: () => void = () => undefined): ChangeWatch {
  return new ChangeWatch(path, log, onNotice);
}

//   quiet ⇄ changed (an announcement since the last `next`); → closed
export class ChangeWatch {
  #watcher: FSWatcher | null = null;
  #changed = false;
  #wake: (() => void) | null = null;
  readonly #onNotice: () => void;

  constructor(path: string, log: Log, onNotice: () => void) {
    this.#onNotice = onNotice;
    void bestEffort(log, "changes are not announced here: waiting by polling alone", () => {
      const watcher = watch(path, { persistent: false });
      watcher.on("change", () => this.#notice());
      watcher.on("error", () => watcher.close());
      this.#watcher = watcher;
    });
  }

  /**
   * Resolves at the next announcement, at once when there has been one since the last call, after `ms` in any case, and
   * when `signal` is aborted. Was there an announcement?
   */
  async next(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#changed && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(wake, ms);
        this.#wake = wake;
        signal.addEventListener("abort", wake, { once: true });
        function wake(): void {
          clearTimeout(timer);
          signal.removeEventListener("abort", wake);
          resolve();
        }
      });
      this.#wake = null;
    }
    const hasChanged = this.#changed;
    this.#changed = false;
    return hasChanged;
  }

  close(): void {
    this.#watcher?.close();
  }

  #notice(): void {
    this.#changed = true;
    this.#wake?.();
    this.#onNotice();
  }
}
