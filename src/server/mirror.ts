// A copy of all locks, nodes and freezes of all stores, kept up to date by the stores' watches, so that the server reads once what
// many clients ask for often. A reading shows nothing older than the moment of asking. The copy of one store is store-copy.ts's.
import { mergeNodes } from "../fleet/node.js";
import type { Freeze } from "../locks/freezes.js";
import type { Log } from "../locks/log.js";
import { storesFor } from "../views/stores.js";
import type { Stores } from "../views/stores.js";
import { mirroredNode } from "./documents-copy.js";
import type { MirroredNode } from "./documents-copy.js";
import { StoreCopy } from "./store-copy.js";
import type { MirrorChange, MirroredLock } from "./store-copy.js";

/** The freezes in force of all stores. */
export interface MirroredFreezes {
  /** The eldest first. */
  readonly freezes: readonly Freeze[];
  /** Whether a store's freezes cannot be read: then everything in it counts as frozen. */
  readonly isUnreadable: boolean;
}

export class Mirror {
  readonly #copies: readonly StoreCopy[];
  readonly #subscribers = new Set<(change: MirrorChange) => void>();
  /** The nodes of all stores, until one changes. */
  #nodes: readonly MirroredNode[] | null = null;

  private constructor(copies: readonly StoreCopy[]) {
    this.#copies = copies;
    for (const copy of copies) copy.onChange = (change) => this.#tell(change);
  }

  /** Resolves when all stores are watched and have been read. */
  static async open(stores: Stores, log: Log, signal: AbortSignal): Promise<Mirror> {
    const copies = (await storesFor(stores, null)).map((store) => new StoreCopy(store, stores, log, signal));
    const mirror = new Mirror(copies);
    try {
      await Promise.all(copies.map((copy) => copy.open()));
    } catch (error) {
      mirror.close();
      throw error;
    }
    return mirror;
  }

  /**
   * The locks that somebody claims, sorted by name, with every change that was committed before the call.
   * @throws UnreachableError when a store does not answer
   */
  async read(signal?: AbortSignal): Promise<readonly MirroredLock[]> {
    await Promise.all(this.#copies.map((copy) => copy.caughtUp(signal)));
    return this.latest();
  }

  /** One lock, or `null` when nobody claims it; see {@link read}. */
  async readOne(lock: string, signal?: AbortSignal): Promise<MirroredLock | null> {
    await Promise.all(this.#copies.map((copy) => copy.caughtUp(signal)));
    return this.#copies.map((copy) => copy.locks.get(lock)).find((found) => found !== undefined) ?? null;
  }

  /** The locks as they were read last, without asking a store. */
  latest(): readonly MirroredLock[] {
    const locks = this.#copies.flatMap((copy) => [...copy.locks.values()]);
    return locks.sort((one, other) => (one.lock < other.lock ? -1 : Number(one.lock > other.lock)));
  }

  /** The nodes of all stores as they were read last, by name. */
  nodes(): readonly MirroredNode[] {
    this.#nodes ??= this.#mergedNodes();
    return this.#nodes;
  }

  /** The freezes in force, as they were read last. */
  freezes(): MirroredFreezes {
    const all = this.#copies.map((copy) => copy.freezesInForce());
    // One freeze may stand in several stores.
    const byId = new Map(all.flatMap((freezes) => (freezes ?? []).map((freeze) => [freeze.id, freeze] as const)));
    const freezes = [...byId.values()].sort((one, other) => one.since - other.since);
    return { freezes, isUnreadable: all.includes(null) };
  }

  /** The time up to which the locks of all stores are known, by the stores' clocks, in milliseconds since 1970. */
  knownAt(): number {
    return Math.min(...this.#copies.map((copy) => copy.knownAt));
  }

  /** The general store's time, estimated without asking it. */
  now(): number {
    return this.#copies[0]?.now() ?? Date.now();
  }

  /** Calls `onChange` after every change. @returns what ends that */
  subscribe(onChange: (change: MirrorChange) => void): () => void {
    this.#subscribers.add(onChange);
    return () => void this.#subscribers.delete(onChange);
  }

  /** A node whose locks are in several stores has a document in each. */
  #mergedNodes(): readonly MirroredNode[] {
    const read = this.#copies.map((copy) => [...copy.documents.nodes.values()]);
    const known = new Map(read.flat().map((mirrored) => [mirrored.node, mirrored]));
    return mergeNodes(read.map((nodes) => nodes.map(({ node }) => node))).map((node) => known.get(node) ?? mirroredNode(node));
  }

  #tell(change: MirrorChange): void {
    if (change.nodes.length > 0) this.#nodes = null;
    for (const onChange of this.#subscribers) onChange(change);
  }

  close(): void {
    for (const copy of this.#copies) copy.close();
  }
}
