// When to write to the log. Only one of those who write at once lands; the others read and try again, which takes them twice as long. So
// who lands would land again and again, and who is overtaken would be so for long. As soon as others are noticed, those who have landed
// leave a gap before their next write, and those who are overtaken again and again stay away for longer and longer.
import { setTimeout as pause } from "node:timers/promises";
import { uptimeMs } from "../../uptime.js";

// So long after another's entry there may be more of them.
const NOTICED_FOR_MS = 2_000;

// A gap of one to two round trips lets those in who have just read.
const GAP_TRIPS = 1;

const LONGEST_PAUSE_MS = 500;

// Before the first write nothing is known of how long one takes.
const FIRST_TRIP_MS = 5;

export class Pace {
  #tripMs = FIRST_TRIP_MS;
  #landedAt = Number.NEGATIVE_INFINITY;
  #noticedAt = Number.NEGATIVE_INFINITY;

  /** Resolves when an entry may be sent that was overtaken so often. */
  async turn(overtaken: number): Promise<void> {
    const now = uptimeMs();
    let ms = 0;
    if (overtaken > 1) ms = Math.random() * Math.min(LONGEST_PAUSE_MS, this.#tripMs * 2 ** overtaken);
    else if (overtaken === 0 && now - this.#noticedAt < NOTICED_FOR_MS)
      ms = this.#landedAt + this.#tripMs * (GAP_TRIPS + Math.random()) - now;
    if (ms >= 1) await pause(ms);
  }

  /** An own entry has landed. @param sentAt by the time since boot */
  landed(sentAt: number): void {
    this.#landedAt = uptimeMs();
    this.#tripMs = this.#landedAt - sentAt;
  }

  /** Others write too. */
  noticed(): void {
    this.#noticedAt = uptimeMs();
  }
}
