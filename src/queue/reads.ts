// Reading queues as they are without what ended sessions have left: whoever meets that puts it away with its session.
import type { Claim } from "../locks/claim.js";
import type { EntryRef } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import type { Asking } from "./asking.js";
import { claimOf, isBereft } from "./records.js";
import type { Sessions } from "./sessions.js";
import type { QueueStore, Step, StoredEntry, StoredPlace } from "./store.js";

export class Reads {
  readonly #store: QueueStore;
  readonly #asking: Asking;
  readonly #sessions: Sessions;
  /** This process may only look, as far as it has tried. */
  #isReadOnly = false;

  constructor(store: QueueStore, asking: Asking, sessions: Sessions) {
    this.#store = store;
    this.#asking = asking;
    this.#sessions = sessions;
  }

  async queue(lock: string, signal?: AbortSignal, first?: number): Promise<readonly Claim[]> {
    for (;;) {
      const entries = await this.#asking.ask(signal, (patience) => this.#store.read(lock, first, patience));
      const there = await this.living(entries);
      // What was put away may have kept others out of so many from the front.
      if (there.length === entries.length || first === undefined) return there.map(claimOf);
      if (this.#isReadOnly) return (await this.#allLiving(lock, signal)).slice(0, first).map(claimOf);
    }
  }

  async #allLiving(lock: string, signal?: AbortSignal): Promise<readonly StoredEntry[]> {
    const entries = await this.#asking.ask(signal, (patience) => this.#store.read(lock, undefined, patience));
    return entries.filter((entry) => !isBereft(entry));
  }

  async find(id: string, signal?: AbortSignal): Promise<readonly Claim[]> {
    return (await this.living(await this.readClaim(id, signal))).map(claimOf);
  }

  async list(signal?: AbortSignal): Promise<readonly string[]> {
    await this.putAwayEnded(signal);
    const names = await this.#asking.ask(signal, (patience) => this.#store.locks(patience));
    if (!this.#isReadOnly) return names;
    const queues = await Promise.all(names.map((name) => this.#allLiving(name, signal)));
    return names.filter((_, index) => (queues[index] as readonly StoredEntry[]).length > 0);
  }

  /** A lock's queue, or of it the entries `refs` alone. */
  async line(lock: string, refs?: readonly string[], signal?: AbortSignal): Promise<readonly StoredPlace[]> {
    const { places, revision } = await this.#asking.ask(signal, (patience) => this.#store.line(lock, refs, patience));
    this.#sessions.latest?.see(revision);
    return this.living(places);
  }

  /** A claim's entries at these places; `null` where there is none. */
  async entriesAt(
    id: string,
    places: readonly Pick<EntryRef, "lock" | "ref">[],
    signal?: AbortSignal,
  ): Promise<readonly (StoredEntry | null)[]> {
    const entries = await this.readClaim(id, signal);
    return places.map(({ lock, ref }) => entries.find((entry) => entry.lock === lock && entry.ref === ref) ?? null);
  }

  readClaim(id: string, signal?: AbortSignal): Promise<readonly StoredEntry[]> {
    return this.#asking.ask(signal, (patience) => this.#store.readClaim(id, patience));
  }

  /** Those that are there, after the others have been put away with their sessions. */
  async living<P extends StoredPlace>(places: readonly P[]): Promise<readonly P[]> {
    const ended = places.filter(isBereft);
    if (ended.length === 0) return places;
    await this.#putAway(new Set(ended.map(({ session }) => session as string)));
    return places.filter((place) => !isBereft(place));
  }

  async putAwayEnded(signal?: AbortSignal): Promise<void> {
    const ended = await this.#asking.ask(signal, (patience) => this.#store.endedSessions(patience));
    await this.#putAway(new Set(ended));
  }

  async #putAway(sessions: ReadonlySet<string>): Promise<void> {
    if (this.#isReadOnly) return;
    for (const session of sessions) {
      try {
        const steps: Step[] = [{ do: "end", session, isEnded: true }];
        const committed = await this.#asking.ask(undefined, (patience) => this.#store.commit(steps, patience));
        // Whoever moves up by that has a later turn than the one who held the lock in the session.
        if (committed.isDone) this.#sessions.latest?.see(committed.revision);
      } catch (error) {
        // Whoever may only look sees them as gone all the same.
        if (!(error instanceof HoldlineError) || error.code !== "not-allowed") throw error;
        this.#isReadOnly = true;
        return;
      }
    }
  }
}
