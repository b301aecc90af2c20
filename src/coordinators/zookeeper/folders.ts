// The znodes that locks' names lead through: made with the first claim, and gone when they are empty. Where the server has
// containers it removes them; elsewhere the claim that leaves last does. Either way a folder with an entry in it stays:
// the server refuses to delete it, in one step with the look. Who joins meanwhile finds no folder, and makes it again.
//
//   unknown → server (it has made a container, or shown one) | ours (it knows none)
import type { Background } from "./background.js";
import type { Layout } from "./layout.js";
import { isLoss } from "./failures.js";
import { MODE, op, type Stat, type Step, WireError, ZK } from "./protocol.js";
import type { ZkSession } from "./session.js";
import { ensure } from "./upkeep.js";
import type { Wire } from "./wire.js";

/**
 * What a folder says that Holdline may remove. Those of other programs stay: a kazoo `Lock` that is used again does not
 * look whether its path is still there.
 */
const REMOVABLE = "holdline: goes when it is empty";
/** What a container says: a server does not tell it from any other znode. */
const CONTAINER = "holdline: a container";

// A server that knows no containers may hang up instead of saying so. On two connections in a row that is no accident.
const MOST_LOSSES = 2;

export class Folders {
  readonly #layout: Layout;
  #remover: "unknown" | "server" | "ours" = "unknown";
  /** The connections, one after another, on which no answer came. */
  readonly #losses = new Set<string>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** The steps that make what is missing for claims on these locks. What all locks share is made at once. */
  async missing(wire: Wire, locks: readonly string[]): Promise<Step[]> {
    const shared = [this.#layout.locks, this.#layout.alive, this.#layout.history];
    const own = [...new Set(locks.flatMap((lock) => this.#layout.foldersOf(lock)))];
    const stats = await Promise.all([...shared, ...own].map((path) => wire.exists(path)));
    const isMissing = (path: string, at: number): boolean => stats[at] === null && path !== "";
    await Promise.all(shared.filter(isMissing).map((path) => ensure(wire, path)));
    const absent = own.filter((_, index) => stats[shared.length + index] === null);
    return absent.map((path) =>
      this.#remover === "ours"
        ? op.create(path, Buffer.from(REMOVABLE), MODE.PERSISTENT)
        : op.createContainer(path, Buffer.from(CONTAINER)),
    );
  }

  /** A transaction that began with such steps was carried out. */
  made(steps: readonly Step[]): void {
    if (steps.length > 0 && this.#remover === "unknown") this.#remover = "server";
    this.#losses.clear();
  }

  /** A transaction that began with such steps failed: is it worth another try, with steps made anew? */
  mayTryAgain({ id, connections }: ZkSession, steps: readonly Step[], error: unknown): boolean {
    if (!(error instanceof WireError)) return false;
    const isInDoubt = steps.length > 0 && this.#remover === "unknown";
    if (isInDoubt && isLoss(error)) this.#losses.add(`${id} ${connections}`);
    const isUnknown = error.zk === ZK.unimplemented || error.zk === ZK.marshalling;
    if (isInDoubt && (isUnknown || this.#losses.size >= MOST_LOSSES)) this.#remover = "ours";
    if (isInDoubt && isUnknown) return true;
    // Removed again, by now or before what was asked came to the server; or made by another.
    if (error.zk === ZK.noNode) return true;
    return error.zk === ZK.nodeExists && error.operation !== null && error.operation < steps.length;
  }

  /** Claims on these locks have left: removes their folders as far as they are empty, where the server does not. */
  removeBehind(background: Background, wire: Wire, locks: readonly string[]): void {
    if (this.#remover === "server") return;
    background.run("empty folders stay until the next claim there has left", () => this.#removeEmpty(wire, locks));
  }

  async #removeEmpty(wire: Wire, locks: readonly string[]): Promise<void> {
    for (const lock of locks) {
      for (const folder of this.#layout.foldersOf(lock).toReversed()) {
        if (this.#remover === "server") return;
        const node = await wire.getData(folder);
        if (node?.data === CONTAINER) this.#remover = "server";
        else if (node !== null && (node.data !== REMOVABLE || !(await removed(wire, folder)))) break;
      }
    }
  }
}

/** Is it a folder that Holdline has made, and that the server will not remove? That is also a container that never had an entry. */
export function isLeftover({ data, stat }: { readonly data: string; readonly stat: Stat }): boolean {
  return stat.ephemeralOwner === null && (data === "" || data === REMOVABLE || (data === CONTAINER && stat.changes === 0));
}

/** Deletes a folder unless something is in it; it may be gone already. */
async function removed(wire: Wire, folder: string): Promise<boolean> {
  try {
    await wire.remove(folder);
    return true;
  } catch (error) {
    if (!(error instanceof WireError) || (error.zk !== ZK.noNode && error.zk !== ZK.notEmpty)) throw error;
    return error.zk === ZK.noNode;
  }
}
