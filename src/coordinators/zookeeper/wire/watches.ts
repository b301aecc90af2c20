// The watches on one connection: on single znodes, which the server reports once, and on whole trees, which it always reports.
import { DELETED } from "./protocol.js";

/** Called at the next change of a znode: whether it was deleted (or written to), and whether it was ephemeral before. */
export type Watcher = (isDeleted: boolean, wasEphemeral: boolean) => void;

interface Armed {
  readonly isEphemeral: boolean;
  readonly watchers: Set<Watcher>;
  /** Whether the server has answered. Until then it may still report a znode that was gone before the request. */
  isConfirmed: boolean;
}

// While a waiter reads the queue again it does not listen to the claims that it watched before and will watch again.
const MOST_MISSED = 1_000;

export class Watches {
  /** Znodes whose next change the server will report, whether or not anyone still listens. */
  readonly #armed = new Map<string, Armed>();
  /** Znodes that were deleted while nobody listened, and whether they were ephemeral; the newest last. */
  readonly #missed = new Map<string, boolean>();
  readonly #trees = new Map<string, (path: string) => void>();

  /** The server will report the znode's next change. Call this before that event can arrive, and the returned function once the server has answered. */
  arm(path: string, isEphemeral: boolean): () => void {
    this.#missed.delete(path);
    const armed = this.#armed.get(path) ?? { isEphemeral, watchers: new Set(), isConfirmed: false };
    this.#armed.set(path, armed);
    return () => void (armed.isConfirmed = true);
  }

  /** The server will not report it after all: the watchers ask again. */
  unarm(path: string): void {
    const armed = this.#armed.get(path);
    this.#armed.delete(path);
    for (const watcher of armed?.watchers ?? []) watcher(false, true);
  }

  /**
   * Whether the server will report the znode's next change: then the znode exists, as far as this connection knows. A deletion that
   * the server reported while nobody listened is reported at once.
   */
  listen(path: string, watcher: Watcher): boolean {
    const missed = this.#missed.get(path);
    if (missed !== undefined) {
      this.#missed.delete(path);
      watcher(true, missed);
      return true;
    }
    const armed = this.#armed.get(path);
    armed?.watchers.add(watcher);
    return armed?.isConfirmed === true;
  }

  /** Forgets a watcher. The server still reports the znode's next change. */
  unlisten(path: string, watcher: Watcher): void {
    this.#armed.get(path)?.watchers.delete(watcher);
  }

  addTree(path: string, onChange: (path: string) => void): void {
    this.#trees.set(path, onChange);
  }

  removeTree(path: string): void {
    this.#trees.delete(path);
  }

  /** Passes an event on. @param type the protocol's number */
  tell(path: string, type: number): void {
    for (const [tree, onChange] of this.#trees) if (path === tree || path.startsWith(`${tree}/`)) onChange(path);
    const armed = this.#armed.get(path);
    if (armed === undefined) return;
    this.#armed.delete(path);
    if (armed.watchers.size === 0 && type === DELETED) this.#miss(path, armed.isEphemeral);
    for (const watcher of armed.watchers) watcher(type === DELETED, armed.isEphemeral);
  }

  /** The connection is gone, and with it the server's promises. Those who watch trees ask for them again. */
  disarm(): void {
    this.#armed.clear();
    this.#missed.clear();
  }

  #miss(path: string, wasEphemeral: boolean): void {
    this.#missed.set(path, wasEphemeral);
    const [oldest] = this.#missed.keys();
    if (this.#missed.size > MOST_MISSED && oldest !== undefined) this.#missed.delete(oldest);
  }
}
