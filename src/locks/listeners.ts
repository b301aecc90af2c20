// Those who want to be told when something changes. Each is told at most once for all that happens in one turn, never
// while it is being told, and never again once it has been removed.

interface Listener {
  readonly onChange: () => void;
  isDue: boolean;
}

export class Listeners {
  readonly #listeners = new Set<Listener>();

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  /** Gives what removes it again. */
  add(onChange: () => void): () => void {
    const listener = { onChange, isDue: false };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Something has changed. Nobody is called before the present turn is over, so that many changes are one call. */
  tell(): void {
    for (const listener of this.#listeners) {
      if (listener.isDue) continue;
      listener.isDue = true;
      queueMicrotask(() => {
        listener.isDue = false;
        if (this.#listeners.has(listener)) listener.onChange();
      });
    }
  }

  /** Nobody is told any more. */
  clear(): void {
    this.#listeners.clear();
  }
}
