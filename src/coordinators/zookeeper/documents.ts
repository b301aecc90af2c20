// Documents: small versioned values, each a znode of its own. A document that is removed stays as an empty znode, so that its revisions
// go on where they were and none comes twice.
import type { Document, DocumentCheck } from "../../locks/documents.js";
import { DocumentChangedError } from "../../locks/errors.js";
import { documentIn, type Layout } from "./layout.js";
import type { Sessions } from "./sessions.js";
import { op, type Step, WireError, ZK } from "./wire/protocol.js";
import type { Wire } from "./wire/wire.js";
import { ensure, sync } from "./writes.js";

const REMOVED = Buffer.alloc(0);

/** A document's znode. `value` is `null` for one that was removed. */
interface Stored {
  readonly value: string | null;
  readonly version: number;
}

export class Documents {
  readonly #sessions: Sessions;
  readonly #layout: Layout;

  constructor(sessions: Sessions, layout: Layout) {
    this.#sessions = sessions;
    this.#layout = layout;
  }

  read(name: string, signal?: AbortSignal): Promise<Document | null> {
    return this.#sessions.retry(signal, async ({ wire }) => documentOf(name, await this.#fetch(wire, name)));
  }

  list(prefix: string, signal?: AbortSignal): Promise<readonly Document[]> {
    return this.#sessions.retry(signal, async ({ wire }) => {
      const names = ((await wire.getChildren(this.#layout.documents)) ?? []).map(documentIn);
      const wanted = names.filter((name) => name !== null && name.startsWith(prefix)) as readonly string[];
      const found = await Promise.all(wanted.map(async (name) => documentOf(name, await this.#fetch(wire, name))));
      return found.filter((one) => one !== null).sort((one, other) => (one.name < other.name ? -1 : 1));
    });
  }

  async write(name: string, value: string | null, revision: number, signal?: AbortSignal): Promise<"done" | "changed"> {
    let isRetry = false;
    return this.#sessions.retry(signal, async ({ wire }) => {
      if (isRetry) {
        await sync(wire, this.#layout);
        const now = documentOf(name, await this.#fetch(wire, name));
        // Another process that has written the very same has done what was asked for.
        if ((now?.revision ?? 0) !== revision && (now?.value ?? null) === value) return "done";
      }
      isRetry = true;
      return this.#write(wire, name, value, revision);
    });
  }

  async #write(wire: Wire, name: string, value: string | null, revision: number): Promise<"done" | "changed"> {
    const stored = revision === 0 ? await this.#ensure(wire, name) : null;
    if (stored !== null && stored.value !== null) return "changed";
    const data = value === null ? REMOVED : Buffer.from(`=${value}`);
    try {
      await wire.setData(this.#layout.documentOf(name), data, stored?.version ?? versionOf(revision));
      return "done";
    } catch (error) {
      if (!(error instanceof WireError) || (error.zk !== ZK.noNode && error.zk !== ZK.badVersion)) throw error;
      return "changed";
    }
  }

  /**
   * Steps of a transaction that fail when a document is no longer as it was read.
   * @throws DocumentChangedError where that shows already
   */
  stepsFor(wire: Wire, checks: readonly DocumentCheck[]): Promise<readonly Step[]> {
    return Promise.all(
      checks.map(async ({ name, revision }) => {
        if (revision !== 0) return op.check(this.#layout.documentOf(name), versionOf(revision));
        // What is not there cannot be checked: an empty znode stands for it.
        const { value, version } = await this.#ensure(wire, name);
        if (value !== null) throw new DocumentChangedError(name);
        return op.check(this.#layout.documentOf(name), version);
      }),
    );
  }

  async #ensure(wire: Wire, name: string): Promise<Stored> {
    for (;;) {
      const stored = await this.#fetch(wire, name);
      if (stored !== null) return stored;
      await ensure(wire, this.#layout.documentOf(name));
    }
  }

  async #fetch(wire: Wire, name: string): Promise<Stored | null> {
    const node = await wire.getData(this.#layout.documentOf(name));
    if (node === null) return null;
    return { value: node.data.startsWith("=") ? node.data.slice(1) : null, version: node.stat.version };
  }
}

function documentOf(name: string, stored: Stored | null): Document | null {
  return stored === null || stored.value === null ? null : { name, value: stored.value, revision: stored.version + 1 };
}

/** A znode's versions begin at 0, which as a revision says that there is none. */
function versionOf(revision: number): number {
  return revision - 1;
}
