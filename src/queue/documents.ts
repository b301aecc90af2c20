// Documents: small versioned values beside the queues. A write names the revision that was read; after a lost reply the store is asked
// whether it has happened.
import type { Document, DocumentWrite } from "../locks/documents.js";
import { HoldlineError } from "../locks/errors.js";
import type { Notice } from "../locks/history.js";
import type { Log } from "../locks/log.js";
import type { Asking } from "./asking.js";
import type { History } from "./history.js";
import { encodeNotice } from "./records.js";
import type { Committed, QueueStore, Step } from "./store.js";

export class Documents {
  readonly #store: QueueStore;
  readonly #asking: Asking;
  readonly #history: History;
  readonly #log: Log;

  constructor(store: QueueStore, asking: Asking, history: History, log: Log) {
    this.#store = store;
    this.#asking = asking;
    this.#history = history;
    this.#log = log;
  }

  read(name: string, signal?: AbortSignal): Promise<Document | null> {
    return this.#asking.ask(signal, (patience) => this.#store.document(name, patience));
  }

  list(prefix: string, signal?: AbortSignal): Promise<readonly Document[]> {
    return this.#asking.ask(signal, (patience) => this.#store.documents(prefix, patience));
  }

  /** @param notices what the history records in the same transaction */
  async write(write: DocumentWrite, notices: readonly Notice[], signal?: AbortSignal): Promise<"done" | "changed"> {
    const { name, value, revision } = write;
    const steps: Step[] = [{ do: "document", name, value, revision }];
    for (const notice of notices) {
      const { lock, endedAt = null } = notice;
      steps.push({ do: "archive", lock, record: encodeNotice(notice), endedAt, room: this.#history.room });
    }
    const committed = await this.#asking.ask<Committed | "done">(
      signal,
      (patience) => this.#commit(steps, patience),
      async () => {
        const now = await this.read(name, signal);
        // Another process that has written the very same has done what was asked for.
        return (now?.revision ?? 0) !== revision && (now?.value ?? null) === value ? "done" : undefined;
      },
    );
    if (committed === "done") return "done";
    if (committed.isDone) {
      this.#history.grown(committed.kept);
      return "done";
    }
    if (committed.why === "changed") return "changed";
    throw new HoldlineError("not-allowed", `the store does not take the document ${name}: it has no room for it`);
  }

  async #commit(steps: readonly Step[], signal: AbortSignal | undefined): Promise<Committed> {
    const committed = await this.#store.commit(steps, signal);
    if (committed.isDone || committed.why !== "no-room" || committed.step === 0) return committed;
    this.#log.warn({}, "the store takes no more history: it goes on without");
    return this.#store.commit(steps.slice(0, 1), signal);
  }
}
