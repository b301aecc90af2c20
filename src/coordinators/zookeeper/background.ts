// What goes on behind a release or a withdrawal: nobody waits for it there, but the session does not end before it is done.
import type { Log } from "../../locks/coordinator.js";
import { bestEffort } from "../../locks/errors.js";

export class Background {
  readonly #log: Log;
  readonly #unfinished = new Set<Promise<void>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param reason what a failure means, for the log */
  run(reason: string, work: () => Promise<unknown>): void {
    const done = bestEffort(this.#log, reason, async () => void (await work()));
    this.#unfinished.add(done);
    void done.finally(() => this.#unfinished.delete(done));
  }

  /** What still goes on; `null` when there is nothing. */
  unfinished(): Promise<unknown> | null {
    return this.#unfinished.size === 0 ? null : Promise.all(this.#unfinished);
  }
}
