// Notices a store that went back in time, as a restored backup does. Such a store has forgotten claims under which work may go
// on, and issues fencing tokens a second time. So each run compares what the store says with what this node has seen.
import type { Changes, Coordinator } from "../locks/coordinator.js";
import type { Log } from "../locks/log.js";
import { bestEffort, HoldlineError } from "../locks/errors.js";
import type { Sighting, Sightings } from "./machine.js";

type Aged = Pick<Coordinator, "store" | "changes">;

export interface StoreAgeOptions {
  readonly sightings: Sightings;
  readonly log: Log;
  readonly stop: AbortSignal;
}

/** Make it before a claim settles or is adopted: what this node has seen by then is older than the claim, whatever other runs do meanwhile. */
export class StoreAge {
  readonly #coordinator: Aged;
  readonly #options: StoreAgeOptions;
  readonly #seen: Promise<Sighting | null>;

  constructor(coordinator: Aged, options: StoreAgeOptions) {
    this.#coordinator = coordinator;
    this.#options = options;
    this.#seen = this.#latest();
  }

  /**
   * Compares a claim that has just become durable with what this node saw before, and remembers it when it is newer.
   * @returns the error to refuse the run with; `null` when all is well
   */
  async problem(claim: string, fencingToken: number): Promise<HoldlineError | null> {
    const { store } = this.#coordinator;
    if (store === undefined) return null;
    const { sightings } = this.#options;
    const seen = await this.#seen;
    let changes: Changes | null = null;
    await this.#try("the store does not say how often it has changed: only its fencing token is compared", async () => {
      changes = (await this.#coordinator.changes?.(claim, this.#options.stop)) ?? null;
    });
    const now: Sighting = { fencingToken, changes, at: Date.now() };
    if (seen !== null && isOlder(now, seen)) return refusal(now, seen, store, sightings.fileOf(store));
    await this.#try("this run could not remember how far the store has come: a later one may not notice a restored backup", () => {
      // Two runs at once may both read before either writes. The lesser of two such neighbours is as good a mark.
      const latest = sightings.latest(store);
      if (latest === null || latest.fencingToken < fencingToken) sightings.save(store, now);
    });
    return null;
  }

  async #latest(): Promise<Sighting | null> {
    const { store } = this.#coordinator;
    let seen: Sighting | null = null;
    if (store === undefined) return seen;
    await this.#try("this run could not read how far the store had come: it does not notice a restored backup", () => {
      seen = this.#options.sightings.latest(store);
    });
    return seen;
  }

  /** A failure here must not keep a run from its work, but an admin has to hear of it. */
  #try(reason: string, attempt: () => unknown): Promise<void> {
    return bestEffort({ debug: (details, message) => this.#options.log.warn(details, message) }, reason, attempt);
  }
}

/**
 * Whether the store is older now than when it was seen. A new claim has a token above all those before it. Where a part of the
 * token grows with every restart of the store, the token proves nothing, and the count of changes decides.
 */
function isOlder(now: Sighting, seen: Sighting): boolean {
  if (now.fencingToken <= seen.fencingToken) return true;
  const isComparable = now.changes !== null && now.changes.since === seen.changes?.since;
  return isComparable && now.changes.count <= seen.changes.count;
}

function refusal(now: Sighting, seen: Sighting, store: string, file: string): HoldlineError {
  const when = new Date(seen.at).toISOString();
  const counted = (changes: Changes | null): string => (changes === null ? "" : ` after ${changes.count} changes`);
  return new HoldlineError(
    "configuration",
    `the store ${store} has gone back in time, as after a restored backup: on ${when} this node had the fencing token ${seen.fencingToken}${counted(seen.changes)}, and now the store gives ${now.fencingToken}${counted(now.changes)}; it does not know the claims and fencing tokens that it gave out since the backup, so nothing is started`,
    {
      hint: `see on every node that nothing runs under a claim that \`holdline locks\` no longer shows; then remove ${file}, here and on each node that says the same`,
    },
  );
}
