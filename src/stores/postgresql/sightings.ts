// The newest revisions that this process has seen, one of each timeline of the server: by these the database tells whether a promotion has
// lost anything that a session of this process relies on.
import { timelineOf } from "./functions.js";

export class Sightings {
  /** Oldest timeline first. */
  readonly #newest = [0];
  /** How many timelines were over when each session began. */
  readonly #begun = new Map<string, number>();

  see(revision: number): void {
    const last = this.#newest.length - 1;
    const newest = this.#newest[last] as number;
    if (timelineOf(revision) > timelineOf(newest)) this.#newest.push(revision);
    else this.#newest[last] = Math.max(newest, revision);
  }

  /** A session begins on the timeline of the newest sighting. */
  begin(session: string): void {
    this.#begun.set(session, this.#newest.length - 1);
  }

  /** The newest of each timeline since a session began. */
  since(session: string): readonly number[] {
    return this.#newest.slice(this.#begun.get(session) ?? 0);
  }
}
