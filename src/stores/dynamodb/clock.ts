// The store's time: servers stamp each reply with whole seconds, and between two replies it goes on by the time since boot. Nobody asks
// this machine's own clock. Each reply narrows down what is known, so that a process that has seen some of them knows the time well.
import type { StoreTime } from "../../locks/coordinator.js";
import { UPTIME_ERROR_MS, uptimeMs } from "../../uptime.js";

// A reply's second began up to so long before it.
const GRAIN_MS = 1_000;

// Clocks of computers go wrong by less than this part of the time that passes.
const DRIFT = 1 / 5_000;

// Servers of one region agree to much less. A stamp that is ahead by more than this is not waited for.
const MOST_AHEAD_MS = 2 * GRAIN_MS;

/** The store's time less the time since boot: between these two, as it was known at some time since boot. */
interface Range {
  readonly least: number;
  readonly most: number;
  readonly knownAt: number;
}

export class StoreClock {
  #range: Range | null = null;
  /** The latest time that was given: none before it is given after it. */
  #given = 0;

  /** @param date a reply's `Date`; one that is no date is passed over */
  heard(date: string | undefined, sentAt: number): void {
    const second = date === undefined ? Number.NaN : Date.parse(date);
    if (Number.isNaN(second)) return;
    const knownAt = uptimeMs();
    const fresh = { least: second - knownAt, most: second + GRAIN_MS - sentAt, knownAt };
    const former = this.#range ?? fresh;
    const drift = (knownAt - former.knownAt) * DRIFT;
    const both = { least: Math.max(fresh.least, former.least - drift), most: Math.min(fresh.most, former.most + drift), knownAt };
    // The servers' clock was set: what was known is over.
    this.#range = both.least <= both.most ? both : fresh;
  }

  /** `null` before the first reply. */
  get time(): StoreTime | null {
    if (this.#range === null) return null;
    const now = uptimeMs();
    const [least, most] = [now + this.#range.least, now + this.#range.most];
    const middle = Math.round((least + most) / 2);
    // Only a clock that was set back by more than this is followed.
    this.#given = this.#given > most + MOST_AHEAD_MS ? middle : Math.max(middle, this.#given);
    const errorMs = Math.max(most - this.#given, this.#given - least);
    return { ms: this.#given, errorMs: Math.ceil(errorMs) + UPTIME_ERROR_MS };
  }

  /** What to stamp a commit with that follows one with the stamp `latest`: no earlier, as far as that can be right. */
  stampAfter(latest: number): number {
    const now = this.time?.ms ?? latest;
    return Math.max(now, Math.min(latest, now + MOST_AHEAD_MS));
  }
}
