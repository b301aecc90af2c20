// The sessions of people who have signed in to the page, in this process's memory, bounded in number and age.
import { createHash, randomBytes } from "node:crypto";

// A working day, after which a stolen cookie is worthless.
export const LONGEST_SESSION_MS = 12 * 60 * 60_000;
// One person's browsers, and room for a name that a team shares. Beyond it the oldest session ends.
const MOST_OF_ONE_NAME = 100;
const ID_BYTES = 32;

export interface Session {
  /** The name under `access` that has signed in. */
  readonly name: string;
  /** Whether it began over HTTPS. The name of its cookie must say the same. */
  readonly isSecure: boolean;
  /** Aborted when it ends: by signing out, by its age, or because there are too many. */
  readonly ended: AbortSignal;
}

interface Entry extends Session {
  readonly end: () => void;
}

//   open → ended (sign-out, age, too many of one name)
export class Sessions {
  /** By the hash of the id, so that the time of a look-up does not tell how close a guess was. The oldest first. */
  readonly #entries = new Map<string, Entry>();

  /** Begins a session. @returns its id, which only the browser keeps */
  begin(name: string, isSecure: boolean): string {
    const id = randomBytes(ID_BYTES).toString("base64url");
    const key = keyOf(id);
    const controller = new AbortController();
    // The timer must not keep the process alive.
    const timer = setTimeout(() => this.#entries.get(key)?.end(), LONGEST_SESSION_MS).unref();
    const end = (): void => {
      clearTimeout(timer);
      this.#entries.delete(key);
      controller.abort();
    };
    this.#entries.set(key, { name, isSecure, ended: controller.signal, end });
    const own = [...this.#entries.values()].filter((entry) => entry.name === name);
    if (own.length > MOST_OF_ONE_NAME) own[0]?.end();
    return id;
  }

  find(id: string): Session | null {
    return this.#entries.get(keyOf(id)) ?? null;
  }

  end(id: string): void {
    this.#entries.get(keyOf(id))?.end();
  }
}

function keyOf(id: string): string {
  return createHash("sha256").update(id).digest("base64url");
}
