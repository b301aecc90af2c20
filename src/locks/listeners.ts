// Listeners to changes. Each is called at most once for everything that happens in one turn of the event loop, never while it
// runs, and never again once it is removed.
import type { Change } from "./coordinator.js";

interface Listener {
  readonly onChange: (change: Change) => void;
  /** Changes that it does not know of yet; `null` when it is up to date. */
  due: Due | null;
}

interface Due {
  isAnything: boolean;
  readonly locks: Set<string>;
  readonly claims: Set<string>;
  readonly documents: Set<string>;
}

/** A change: the queue or the history of a lock, the liveness of a claim, a document, or `null` when it may be anything. */
export type Changed = { readonly lock: string } | { readonly claim: string } | { readonly document: string } | null;

export class Listeners {
  readonly #listeners = new Set<Listener>();

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  /** Gives the function that removes it again. */
  add(onChange: (change: Change) => void): () => void {
    const listener: Listener = { onChange, due: null };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Notes a change. Listeners are called after the present turn, so that many changes are one call. */
  tell(changed: Changed): void {
    for (const listener of this.#listeners) {
      const isNew = listener.due === null;
      listener.due ??= { isAnything: false, locks: new Set(), claims: new Set(), documents: new Set() };
      if (changed === null) listener.due.isAnything = true;
      else if ("lock" in changed) listener.due.locks.add(changed.lock);
      else if ("claim" in changed) listener.due.claims.add(changed.claim);
      else listener.due.documents.add(changed.document);
      if (isNew) queueMicrotask(() => this.#call(listener));
    }
  }

  #call(listener: Listener): void {
    const { due } = listener;
    listener.due = null;
    if (due !== null && this.#listeners.has(listener)) listener.onChange(due.isAnything ? null : due);
  }

  /** Removes all listeners. */
  clear(): void {
    this.#listeners.clear();
  }
}
