// Those who want to be told when something changes. Each is told at most once for all that happens in one turn, never
// while it is being told, and never again once it has been removed.
import type { Change } from "./coordinator.js";

interface Listener {
  readonly onChange: (change: Change) => void;
  /** What it has not been told of yet; `null` when it is up to date. */
  due: Due | null;
}

interface Due {
  isAnything: boolean;
  readonly locks: Set<string>;
  readonly claims: Set<string>;
}

/** The queue or the history of a lock, the liveness of a claim, or `null` for what may be anything. */
export type Changed = { readonly lock: string } | { readonly claim: string } | null;

export class Listeners {
  readonly #listeners = new Set<Listener>();

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  /** Gives what removes it again. */
  add(onChange: (change: Change) => void): () => void {
    const listener: Listener = { onChange, due: null };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Something has changed. Nobody is called before the present turn is over, so that many changes are one call. */
  tell(changed: Changed): void {
    for (const listener of this.#listeners) {
      const isNew = listener.due === null;
      listener.due ??= { isAnything: false, locks: new Set(), claims: new Set() };
      if (changed === null) listener.due.isAnything = true;
      else if ("lock" in changed) listener.due.locks.add(changed.lock);
      else listener.due.claims.add(changed.claim);
      if (isNew) queueMicrotask(() => this.#call(listener));
    }
  }

  #call(listener: Listener): void {
    const { due } = listener;
    listener.due = null;
    if (due !== null && this.#listeners.has(listener)) listener.onChange(due.isAnything ? null : due);
  }

  /** Nobody is told any more. */
  clear(): void {
    this.#listeners.clear();
  }
}
