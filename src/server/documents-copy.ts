// A copy of the documents of one store that the server shows: those of nodes, and the freezes. Reads what it is told has changed.
import { decodeNode, documentOfNode, NODES_PREFIX } from "../fleet/node.js";
import type { NodeDocument } from "../fleet/node.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { decodeFreezes, FREEZES_DOCUMENT } from "../locks/freezes.js";
import type { Freeze } from "../locks/freezes.js";
import { nodeAsJson } from "../views/fleet.js";

/** A node that has left a document. */
export interface MirroredNode {
  readonly node: NodeDocument;
  /** As JSON in the form of `/v1/nodes`, serialized once for a thousand readers. */
  readonly text: string;
}

/** What was read of a store's documents. */
export interface ReadDocuments {
  /** By name; `null` where there is none. All that are there where `isAll`. */
  readonly values: ReadonlyMap<string, string | null>;
  readonly isAll: boolean;
}

// As many questions as a store's connection carries well without being flooded.
const AT_ONCE = 32;

export class DocumentsCopy {
  /** By name. */
  readonly nodes = new Map<string, MirroredNode>();
  /** Those included whose time is over; `null`: they cannot be read. */
  freezes: readonly Freeze[] | null = [];

  /** Whether a document is one that this keeps. */
  static isOurs(name: string): boolean {
    return name === FREEZES_DOCUMENT || name.startsWith(NODES_PREFIX);
  }

  /** @param names the documents to read; `null` for all */
  async read(coordinator: Coordinator, names: ReadonlySet<string> | null, signal: AbortSignal): Promise<ReadDocuments> {
    if (names === null) {
      const [nodes, freezes] = await Promise.all([
        coordinator.documents(NODES_PREFIX, signal),
        valueOf(coordinator, FREEZES_DOCUMENT, signal),
      ]);
      const values = nodes.map(({ name, value }): [string, string | null] => [name, value]);
      return { values: new Map([...values, [FREEZES_DOCUMENT, freezes]]), isAll: true };
    }
    const values = new Map<string, string | null>();
    const wanted = [...names];
    for (let start = 0; start < wanted.length; start += AT_ONCE) {
      const piece = wanted.slice(start, start + AT_ONCE);
      const read = await Promise.all(piece.map((name) => valueOf(coordinator, name, signal)));
      for (const [at, name] of piece.entries()) values.set(name, read[at] ?? null);
    }
    return { values, isAll: false };
  }

  /** Takes over what was read. @returns the names of the nodes that have changed or are gone */
  take({ values, isAll }: ReadDocuments): readonly string[] {
    const changed: string[] = [];
    if (isAll) {
      for (const node of [...this.nodes.keys()])
        if (!values.has(documentOfNode(node)) && this.nodes.delete(node)) changed.push(node);
    }
    for (const [name, value] of values) {
      if (name === FREEZES_DOCUMENT) this.freezes = decodeFreezes(value);
      else if (this.#takeNode(name, value)) changed.push(name.slice(NODES_PREFIX.length));
    }
    return changed;
  }

  /** @returns whether it has changed */
  #takeNode(name: string, value: string | null): boolean {
    const key = name.slice(NODES_PREFIX.length);
    const node = value === null ? null : decodeNode(value);
    // Whoever can write documents must not speak for another node.
    if (node === null || node.node !== key) return this.nodes.delete(key);
    const mirrored = mirroredNode(node);
    if (this.nodes.get(key)?.text === mirrored.text) return false;
    this.nodes.set(key, mirrored);
    return true;
  }
}

// No document says this.
const UNREADABLE = "";

/** What a document says; `null` where there is none. One that the server may not read hides none of the locks: it cannot be read. */
async function valueOf(coordinator: Coordinator, name: string, signal: AbortSignal): Promise<string | null> {
  try {
    return (await coordinator.document(name, signal))?.value ?? null;
  } catch (error) {
    if (!(error instanceof HoldlineError) || error.code !== "not-allowed") throw error;
    return UNREADABLE;
  }
}

export function mirroredNode(node: NodeDocument): MirroredNode {
  return { node, text: JSON.stringify(nodeAsJson(node)) };
}
