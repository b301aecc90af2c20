// One reading for all who ask for the same at the same time: of each thing there is one under way, and at most one behind it.

interface Reading<A, T> {
  /** Those whom it will serve; more may be added until it begins. */
  readonly askers: A[];
  readonly outcome: Promise<T>;
  readonly begin: () => void;
}

/**
 * Readings that are shared. Whoever asks gets one that began after the question, never one that was under way: a list that
 * the server made before a claim was created does not know the claim. So the number of readings does not grow with that of
 * those who ask, and somebody who asks alone waits for no more than his own.
 */
export class Shared<A, T> {
  readonly #underWay = new Set<string>();
  readonly #next = new Map<string, Reading<A, T>>();

  /**
   * @param key what is read; the same for all who share it
   * @param read begins in this turn when nobody else reads that key; it must end by itself, for no one asker's signal ends it
   */
  ask(key: string, asker: A, read: (askers: readonly A[]) => Promise<T>): Promise<T> {
    const next = this.#next.get(key);
    if (next !== undefined) {
      next.askers.push(asker);
      return next.outcome;
    }
    if (!this.#underWay.has(key)) return this.#begin(key, [asker], read);
    const askers = [asker];
    let begin = (): void => undefined;
    const outcome = new Promise<T>((resolve, reject) => {
      begin = () => void this.#begin(key, askers, read).then(resolve, reject);
    });
    this.#next.set(key, { askers, outcome, begin });
    return outcome;
  }

  async #begin(key: string, askers: readonly A[], read: (askers: readonly A[]) => Promise<T>): Promise<T> {
    this.#underWay.add(key);
    try {
      return await read(askers);
    } finally {
      this.#underWay.delete(key);
      const next = this.#next.get(key);
      this.#next.delete(key);
      next?.begin();
    }
  }
}
