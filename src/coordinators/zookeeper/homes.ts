// The session of each ephemeral entry of this process, and which of the entries are held. An entry is known by its ref, which
// has a UUID in it.
import type { EntryRef, Joined } from "../../locks/coordinator.js";
import type { ZkSession } from "./session.js";

export class Homes {
  readonly #sessions = new Map<string, ZkSession>();

  /** Entries were made in this session. */
  take(session: ZkSession, { positions: standings }: Joined): void {
    for (const { ref } of standings) this.#sessions.set(ref, session);
  }

  /** `undefined` for an entry that is not this process's, or no longer. */
  of(ref: string): ZkSession | undefined {
    return this.#sessions.get(ref);
  }

  hold({ positions: standings }: Joined): void {
    for (const { ref } of standings) this.#sessions.get(ref)?.hold(ref);
  }

  forget(entries: readonly Pick<EntryRef, "ref">[]): void {
    for (const { ref } of entries) {
      this.#sessions.get(ref)?.letGo(ref);
      this.#sessions.delete(ref);
    }
  }
}
