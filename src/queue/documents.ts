// Documents: small versioned values beside the queues. A write names the revision that was read; after a lost reply the store is asked
// whether it has happened.
import type { Document } from "../locks/documents.js";
import type { Asking } from "./asking.js";
import type { QueueStore } from "./store.js";

export class Documents {
  readonly #store: QueueStore;
  readonly #asking: Asking;

  constructor(store: QueueStore, asking: Asking) {
    this.#store = store;
    this.#asking = asking;
  }

  read(name: string, signal?: AbortSignal): Promise<Document | null> {
    return this.#asking.ask(signal, (patience) => this.#store.document(name, patience));
  }

  list(prefix: string, signal?: AbortSignal): Promise<readonly Document[]> {
    return this.#asking.ask(signal, (patience) => this.#store.documents(prefix, patience));
  }

  async write(name: string, value: string | null, revision: number, signal?: AbortSignal): Promise<"done" | "changed"> {
    const steps = [{ do: "document", name, value, revision }] as const;
    return this.#asking.ask(
      signal,
      async (patience) => ((await this.#store.commit(steps, patience)).isDone ? "done" : "changed"),
      async () => {
        const now = await this.read(name, signal);
        // Another process that has written the very same has done what was asked for.
        if ((now?.revision ?? 0) !== revision && (now?.value ?? null) === value) return "done";
        return undefined;
      },
    );
  }
}
