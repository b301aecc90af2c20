// The znodes that locks' names lead through. The first claim makes them, and they go when they are empty: where the server knows
// containers it removes them, elsewhere the claim that leaves last does. Either way a folder with an entry in it stays, because the
// server refuses to delete it in the same step as it looks. A claimant that finds its folder gone makes it again.
//
//   unknown → server (it has made a container, or shown one) | ours (it knows none)
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import type { HistoryBounds } from "../../locks/history-bounds.js";
import type { Background } from "./background.js";
import { trimFormerHistory, trimHistory } from "./history.js";
import { decodeName, type Layout, segmentsAmong } from "./layout.js";
import { inRounds, walk } from "./reads.js";
import type { ZkSession } from "./session.js";
import { isConnectionLoss } from "./wire/errors.js";
import { MODE, op, type Stat, type Step, WireError, ZK } from "./wire/protocol.js";
import type { Wire } from "./wire/wire.js";
import { ensure } from "./writes.js";

/**
 * The data of a folder that Holdline may remove. Folders of other programs stay: a kazoo `Lock` that is used again does not check
 * that its path still exists.
 */
const REMOVABLE = "holdline: goes when it is empty";
/** The data of a container: a server does not tell a container from any other znode. */
const CONTAINER = "holdline: a container";

// A server that knows no containers may hang up instead of saying so. On two connections in a row that is no accident.
const MOST_LOSSES = 2;

export class Folders {
  readonly #layout: Layout;
  #remover: "unknown" | "server" | "ours" = "unknown";
  /** Reads once, for as long as the remover is unknown, whether a lock's folder is a container. */
  #look: Promise<void> | null = null;
  /** The connections, one after another, on which no answer came. */
  readonly #losses = new Set<string>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** The steps that make the folders that are missing for claims on these locks. Makes the folders that all locks share at once. */
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

  /** Whether to try again, with new steps, after a transaction that began with such steps has failed. */
  mayTryAgain({ id, connections }: ZkSession, steps: readonly Step[], error: unknown): boolean {
    if (!(error instanceof WireError)) return false;
    const isInDoubt = steps.length > 0 && this.#remover === "unknown";
    if (isInDoubt && isConnectionLoss(error)) this.#losses.add(`${id} ${connections}`);
    const isUnknown = error.zk === ZK.unimplemented || error.zk === ZK.marshalling;
    if (isInDoubt && (isUnknown || this.#losses.size >= MOST_LOSSES)) this.#remover = "ours";
    if (isInDoubt && isUnknown) return true;
    // The folder was removed before the request reached the server, or another client has made it.
    if (error.zk === ZK.noNode) return true;
    return error.zk === ZK.nodeExists && error.operation !== null && error.operation < steps.length;
  }

  /**
   * Finds out who removes a lock's folder, once. A claim asks this when it joins, behind its own requests and in the same round trip: when
   * it leaves, others wait for the server, and a thousand sessions that asked it then would slow down every hand-off of their line.
   */
  look(wire: Wire, lock: string): void {
    if (this.#remover !== "unknown" || this.#look !== null) return;
    const done = wire.getData(this.#layout.lock(lock)).then(
      (folder) => {
        if (folder?.data === CONTAINER) this.#remover = "server";
      },
      // The next claim to join looks again, and one that leaves meanwhile asks for itself.
      () => void (this.#look = null),
    );
    this.#look = done;
  }

  /** Claims on these locks have left: removes their empty folders where the server does not. */
  removeBehind(background: Background, wire: Wire, locks: readonly string[]): void {
    if (this.#remover === "server") return;
    background.run("empty folders stay until the next claim there has left", async () => {
      await this.#look;
      await this.#removeEmpty(wire, locks);
    });
  }

  async #removeEmpty(wire: Wire, locks: readonly string[]): Promise<void> {
    for (const lock of locks) {
      for (const folder of this.#layout.foldersOf(lock).toReversed()) {
        if (this.#remover === "server") return;
        const node = await wire.getData(folder);
        if (node?.data === CONTAINER) this.#remover = "server";
        else if (node !== null && (node.data !== REMOVABLE || !(await removeIfEmpty(wire, folder)))) break;
      }
    }
  }
}

/** Deletes a folder unless something is in it. @returns whether it is gone */
async function removeIfEmpty(wire: Wire, folder: string): Promise<boolean> {
  try {
    await wire.remove(folder);
    return true;
  } catch (error) {
    if (!(error instanceof WireError) || (error.zk !== ZK.noNode && error.zk !== ZK.notEmpty)) throw error;
    return error.zk === ZK.noNode;
  }
}

/**
 * Removes what nobody needs any more and nothing else removes: empty folders of locks and of their former histories, which Holdline up
 * to 0.1 left behind, and records beyond the history's bounds. A folder with anything in it stays. Safe to repeat.
 * @returns the paths of all that it has removed, sorted
 */
export async function tidy(
  wire: Wire,
  layout: Layout,
  bounds: HistoryBounds,
  log: CoordinatorOptions["log"],
): Promise<readonly string[]> {
  const gone = [...(await trimHistory(wire, layout, bounds, log)), ...(await trimFormerHistory(wire, layout, bounds, log))];
  for (const base of [layout.locks, layout.history]) {
    const byDepth: string[][] = [];
    await walk(wire, base, (folder, children) => {
      // A folder with a claim in it, or with another program's znode, is not even tried.
      if (decodeName(folder) === null || segmentsAmong(children).length < children.length) return;
      const depth = folder.split("/").length;
      byDepth[depth] = [...(byDepth[depth] ?? []), `${base}/${folder}`];
    });
    // The deepest come first: the folders above them may be empty then.
    for (const folders of byDepth.reverse()) {
      const removed = await inRounds(folders ?? [], async (path) => ((await removeLeftover(wire, path)) ? [path] : []));
      gone.push(...removed.flat());
    }
  }
  return gone.sort();
}

/** Deletes a folder that is as Holdline has left it, unless something is in it. */
async function removeLeftover(wire: Wire, path: string): Promise<boolean> {
  const node = await wire.getData(path);
  if (node === null || !isLeftover(node)) return false;
  try {
    // The server checks in the same step: a claimant that joins meanwhile either keeps the folder, or makes it again.
    await wire.remove(path, node.stat.version);
    return true;
  } catch (error) {
    if (error instanceof WireError && [ZK.noNode, ZK.notEmpty, ZK.badVersion].some((code) => code === error.zk)) return false;
    throw error;
  }
}

/** Whether Holdline has made this folder and the server will not remove it. That includes a container that never had an entry. */
function isLeftover({ data, stat }: { readonly data: string; readonly stat: Stat }): boolean {
  return stat.ephemeralOwner === null && (data === "" || data === REMOVABLE || (data === CONTAINER && stat.changes === 0));
}
