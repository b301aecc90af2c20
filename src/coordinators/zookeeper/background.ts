// Work that goes on behind a caller who does not wait for it, such as tidying after a release, and how long those wait who only want to go.
import type { Log } from "../../locks/log.js";
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

  /** Waits for the work that still goes on, but not for long. */
  async finish(): Promise<void> {
    if (this.#unfinished.size > 0) await patiently(Promise.all(this.#unfinished));
  }
}

// A caller that leaves a line, or closes, waits no longer than this for a silent server. The removal goes on without the caller, and if
// the process ends before it is done, the entry ends with the session.
const PATIENCE_MS = 1_000;

/** Waits until the work is done, but no longer than a caller who only wants to go. */
export async function patiently(work: Promise<unknown>): Promise<void> {
  let patience: NodeJS.Timeout | undefined;
  const silence = new Promise<void>((resolve) => (patience = setTimeout(resolve, PATIENCE_MS)));
  try {
    await Promise.race([work, silence]);
  } finally {
    clearTimeout(patience);
  }
}
