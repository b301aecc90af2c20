// When to write to the log. Only one of those who write at once lands; the others read and try again, which takes them twice as long. So
// who lands would land again and again, and who is overtaken would be so for long. So nobody writes many times in a row without a gap; as
// soon as others are noticed, every write has a gap before it; and those who are overtaken again and again stay away for longer and longer.
import { setTimeout as pause } from "node:timers/promises";
import { uptimeMs } from "../../uptime.js";

// So long after another's entry there may be more of them.
const NOTICED_FOR_MS = 2_000;

// So often one writes in a row before there is a gap, in case that there are others who cannot be noticed: they have never landed.
const MOST_IN_A_ROW = 8;

// A gap of one to two round trips lets those in who have just read; a longer one those who are about to.
const GAP_TRIPS = 1;
const LONG_GAP_TRIPS = 2;

// With two who write, most are overtaken a few times only. With a hundred it takes longer, and each try costs.
const PAUSE_GROWTH = 1.25;
const LONGEST_PAUSE_MS = 500;

// Before the first write nothing is known of how long one takes.
const FIRST_TRIP_MS = 5;

export class Pace {
  #tripMs = FIRST_TRIP_MS;
  #landedAt = Number.NEGATIVE_INFINITY;
  #noticedAt = Number.NEGATIVE_INFINITY;
  #inARow = 0;

  /** Resolves when an entry may be sent that was overtaken so often. */
  async turn(overtaken: number): Promise<void> {
    const now = uptimeMs();
    let ms = 0;
    if (overtaken > 1) ms = Math.random() * Math.min(LONGEST_PAUSE_MS, this.#tripMs * 2 * PAUSE_GROWTH ** overtaken);
    else if (overtaken === 0 && now - this.#noticedAt < NOTICED_FOR_MS) ms = this.#leftOf(GAP_TRIPS, now);
    else if (overtaken === 0 && this.#inARow >= MOST_IN_A_ROW) ms = this.#leftOf(LONG_GAP_TRIPS, now);
    if (ms >= 1) await pause(ms);
  }

  /** An own entry has landed. @param sentAt by the time since boot */
  landed(sentAt: number): void {
    this.#inARow = sentAt - this.#landedAt < this.#tripMs * LONG_GAP_TRIPS ? this.#inARow + 1 : 0;
    this.#landedAt = uptimeMs();
    this.#tripMs = this.#landedAt - sentAt;
  }

  #leftOf(trips: number, now: number): number {
    return this.#landedAt + this.#tripMs * (trips + Math.random()) - now;
  }

  /** Others write too. */
  noticed(): void {
    this.#noticedAt = uptimeMs();
  }
}
