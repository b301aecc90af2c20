// Abort signals for the time of a simulated run: to the code that uses them they are as the platform's own, which are made for
// programs that need few of them and would take a third of a run's time.

type Listener = (event: Event) => void;

const NO_REASON = new DOMException("This operation was aborted", "AbortError");
const ABORT = new Event("abort");

class PlainSignal {
  aborted = false;
  reason: unknown = undefined;
  #listeners: Set<Listener> | null = null;

  addEventListener(_: "abort", listener: Listener): void {
    if (!this.aborted) (this.#listeners ??= new Set()).add(listener);
  }

  removeEventListener(_: "abort", listener: Listener): void {
    this.#listeners?.delete(listener);
  }

  /** There is no bound: node's `setMaxListeners` calls this of what is none of its own. */
  setMaxListeners(): void {
    return;
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  end(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    // One that is removed by another before its turn is not called.
    for (const listener of this.#listeners ?? []) listener(ABORT);
    this.#listeners = null;
  }
}

class PlainController {
  readonly signal = new PlainSignal();

  abort(reason: unknown = NO_REASON): void {
    this.signal.end(reason);
  }
}

/** Has every `AbortController` that is made be a plain one; gives what undoes that. */
export function usePlainSignals(): () => void {
  const { AbortController: own } = globalThis;
  globalThis.AbortController = PlainController as unknown as typeof AbortController;
  return () => {
    globalThis.AbortController = own;
  };
}
