// Time that a test moves by hand, for engines and for the in-memory server.
import type { Timers } from "../../src/queue/asking.js";

export class HandTimers implements Timers {
  #nowMs = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  uptimeMs(): number {
    return this.#nowMs;
  }

  readonly after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.#nowMs + ms, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  /** Lets time go by; each timer fires when it is due, and what it sets going has gone on before the next one. */
  async pass(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    await goneOn();
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= until).sort((one, other) => one.at - other.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.at);
      due.run();
      await goneOn();
    }
    this.#nowMs = until;
  }

  /** The machine sleeps: its uptime goes on, and no timer counts that. */
  sleep(ms: number): void {
    this.#nowMs += ms;
    for (const timer of [...this.#timers]) {
      this.#timers.delete(timer);
      this.#timers.add({ ...timer, at: timer.at + ms });
    }
  }
}

/** Resolves when every promise that could go on has done so. */
function goneOn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
