// What a server has been asked to tell of, on one connection: single znodes, once each, and whole trees, always.
import { DELETED } from "./protocol.js";

/** Called at the next change of a znode, which was deleted or written to, with whether it was ephemeral before. */
export type Watcher = (isDeleted: boolean, wasEphemeral: boolean) => void;

interface Armed {
  readonly isEphemeral: boolean;
  readonly watchers: Set<Watcher>;
  /** Has the server answered? Before that it may still have to tell of what went before it was asked. */
  isConfirmed: boolean;
}

// Whoever reads a line hears nothing meanwhile of those that it watched before and will watch again.
const MOST_MISSED = 1_000;

export class Watches {
  /** Znodes whose next change the server will tell of, whether or not anybody still listens. */
  readonly #armed = new Map<string, Armed>();
  /** Znodes that were deleted when nobody listened, and whether they were ephemeral; the newest last. */
  readonly #missed = new Map<string, boolean>();
  readonly #trees = new Map<string, (path: string) => void>();

  /** The server will tell: called before any event of it can come. Gives what says that it has answered. */
  arm(path: string, isEphemeral: boolean): () => void {
    this.#missed.delete(path);
    const armed = this.#armed.get(path) ?? { isEphemeral, watchers: new Set(), isConfirmed: false };
    this.#armed.set(path, armed);
    return () => void (armed.isConfirmed = true);
  }

  /** The server will not tell, against what was expected: whoever listens asks anew. */
  unarm(path: string): void {
    const armed = this.#armed.get(path);
    this.#armed.delete(path);
    for (const watcher of armed?.watchers ?? []) watcher(false, true);
  }

  /**
   * Says whether the server will tell of the znode's next change; so that it is there, as far as this connection knows. A
   * deletion of which the server has told when nobody listened is told at once.
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

  /** Forgets a watcher. The server still tells, once. */
  unlisten(path: string, watcher: Watcher): void {
    this.#armed.get(path)?.watchers.delete(watcher);
  }

  addTree(path: string, onChange: (path: string) => void): void {
    this.#trees.set(path, onChange);
  }

  removeTree(path: string): void {
    this.#trees.delete(path);
  }

  /** @param type as the protocol numbers them */
  tell(path: string, type: number): void {
    for (const [tree, onChange] of this.#trees) if (path === tree || path.startsWith(`${tree}/`)) onChange(path);
    const armed = this.#armed.get(path);
    if (armed === undefined) return;
    this.#armed.delete(path);
    if (armed.watchers.size === 0 && type === DELETED) this.#miss(path, armed.isEphemeral);
    for (const watcher of armed.watchers) watcher(type === DELETED, armed.isEphemeral);
  }

  /** The connection is gone, and with it what its server was asked for. Trees are asked for again by whoever wants them. */
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
