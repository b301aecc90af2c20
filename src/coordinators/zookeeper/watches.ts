// What a server has been asked to tell of, on one connection: single znodes, once each, and whole trees, always.
import { DELETED } from "./protocol.js";

/** Called at the next change of a znode, which was deleted or written to, with whether it was ephemeral before. */
export type Watcher = (isDeleted: boolean, wasEphemeral: boolean) => void;

interface Armed {
  readonly isEphemeral: boolean;
  readonly watchers: Set<Watcher>;
}

export class Watches {
  /** Znodes whose next change the server will tell of, whether or not anybody still listens. */
  readonly #armed = new Map<string, Armed>();
  readonly #trees = new Map<string, (path: string) => void>();

  /** The server has said that it will tell: in the turn in which its answer is read, before any event behind it. */
  arm(path: string, isEphemeral: boolean): void {
    if (!this.#armed.has(path)) this.#armed.set(path, { isEphemeral, watchers: new Set() });
  }

  /** Says whether the server will tell of the znode's next change; so that it is there, as far as this connection knows. */
  listen(path: string, watcher: Watcher): boolean {
    const armed = this.#armed.get(path);
    armed?.watchers.add(watcher);
    return armed !== undefined;
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
    for (const watcher of armed.watchers) watcher(type === DELETED, armed.isEphemeral);
  }

  /** The connection is gone, and with it what its server was asked for. Trees are asked for again by whoever wants them. */
  disarm(): void {
    this.#armed.clear();
  }
}
