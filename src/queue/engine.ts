// The queue engine: a `Coordinator` over any store of the thin seam. It puts its parts together, each of which owns something that
// every store needs and none has to know: sessions.ts, joining.ts, writes.ts, reads.ts, history.ts, watches.ts.
import type { Claim, ClaimRecord } from "../locks/claim.js";
import type {
  Change,
  Coordinator,
  CoordinatorOptions,
  Draft,
  EntryRef,
  Joined,
  JustSettled,
  QueuePosition,
  Settled,
  StoreTime,
  StoreWatch,
  WriteOutcome,
} from "../locks/coordinator.js";
import type { Document, DocumentCheck, DocumentWrite } from "../locks/documents.js";
import type { Ending, HistoryRecord, Keeping, Notice } from "../locks/history.js";
import type { StoreReport } from "../locks/store-report.js";
import { bestEffort } from "../locks/errors.js";
import { historyBoundsOf } from "../locks/history-bounds.js";
import { Asking, type Timers } from "./asking.js";
import { Documents } from "./documents.js";
import { examineStore } from "./examination.js";
import { History } from "./history.js";
import { Joining } from "./joining.js";
import { Reads } from "./reads.js";
import type { EngineSession } from "./session.js";
import { Sessions } from "./sessions.js";
import type { QueueStore, StoreTraits } from "./store.js";
import { systemTimers } from "./timers.js";
import { Watches } from "./watches.js";
import { Writes } from "./writes.js";

/** What an engine is opened with beside its store. */
export interface EngineOptions extends CoordinatorOptions {
  /** By default the process's own. */
  readonly timers?: Timers;
}

/**
 * Opens an engine over a store, which belongs to the engine from then on.
 * @throws UnreachableError when the store does not answer within the connect timeout
 */
export async function openEngine(store: QueueStore, options: EngineOptions): Promise<QueueEngine> {
  const engine = new QueueEngine(store, options);
  try {
    await engine.sync();
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

export class QueueEngine implements Coordinator {
  readonly isShared: boolean;
  readonly traits: StoreTraits;
  readonly #store: QueueStore;
  readonly #options: EngineOptions;
  readonly #asking: Asking;
  readonly #sessions: Sessions;
  readonly #reads: Reads;
  readonly #joining: Joining;
  readonly #writes: Writes;
  readonly #history: History;
  readonly #watches: Watches;
  readonly #documents: Documents;
  #closing: Promise<void> | null = null;

  constructor(store: QueueStore, given: EngineOptions) {
    const options = { ...given, timers: given.timers ?? systemTimers() };
    this.isShared = store.isShared;
    this.traits = store.traits;
    this.#store = store;
    this.#options = options;
    const asking = new Asking(store, options);
    const sessions = new Sessions(store, asking, options);
    const reads = new Reads(store, asking, sessions);
    const joining = new Joining(store, asking, sessions, reads, options);
    const history = new History(store, asking, historyBoundsOf(options), options);
    this.#asking = asking;
    this.#sessions = sessions;
    this.#reads = reads;
    this.#joining = joining;
    this.#history = history;
    this.#documents = new Documents(store, asking, history, options.log);
    this.#writes = new Writes(store, { asking, sessions, reads, joining, history, log: options.log });
    this.#watches = new Watches(store, asking, (signal) => reads.putAwayEnded(signal), options);
  }

  /** Some stores know it only once they are connected. */
  get store(): string {
    return this.#store.name;
  }

  /** The latest session, for whoever wants to end it in the store. */
  get session(): EngineSession | null {
    return this.#sessions.latest;
  }

  /** Opens a session before it is needed, so that this process shows in the store. */
  async begin(): Promise<void> {
    await this.#sessions.current();
  }

  join(draft: Draft, signal?: AbortSignal): Promise<Joined> {
    return this.#joining.join(draft, signal);
  }

  confirm(joined: Joined, signal?: AbortSignal): Promise<void> {
    return this.#joining.confirm(joined, signal);
  }

  position(entry: EntryRef, signal?: AbortSignal): Promise<QueuePosition> {
    return this.#joining.position(entry, signal);
  }

  departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    return this.#joining.departed(joined, lock, refs, signal);
  }

  withdraw(entries: readonly EntryRef[]): Promise<void> {
    return this.#joining.withdraw(entries);
  }

  settle(
    draft: Draft,
    joined: Joined,
    record: ClaimRecord,
    signal?: AbortSignal,
    checks: readonly DocumentCheck[] = [],
  ): Promise<JustSettled> {
    return this.#writes.settle(draft, joined, record, checks, signal);
  }

  adopt(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    return this.#writes.adopt(id, entries, record, signal);
  }

  update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed"> {
    return this.#writes.update(id, settled, record, signal, keeping);
  }

  leave(
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    signal?: AbortSignal,
    writes: readonly DocumentWrite[] = [],
  ): Promise<WriteOutcome> {
    return this.#writes.leave(id, entries, ending, writes, signal);
  }

  queue(lock: string, signal?: AbortSignal, first?: number): Promise<readonly Claim[]> {
    return this.#reads.queue(lock, signal, first);
  }

  find(id: string, signal?: AbortSignal): Promise<readonly Claim[]> {
    return this.#reads.find(id, signal);
  }

  list(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#reads.list(signal);
  }

  history(lock: string | null, limit: number, signal?: AbortSignal): Promise<readonly HistoryRecord[]> {
    return this.#history.read(lock, limit, signal);
  }

  document(name: string, signal?: AbortSignal): Promise<Document | null> {
    return this.#documents.read(name, signal);
  }

  documents(prefix: string, signal?: AbortSignal): Promise<readonly Document[]> {
    return this.#documents.list(prefix, signal);
  }

  writeDocument(
    name: string,
    value: string | null,
    revision: number,
    signal?: AbortSignal,
    notices: readonly Notice[] = [],
  ): Promise<"done" | "changed"> {
    return this.#documents.write({ name, value, revision }, notices, signal);
  }

  watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    return this.#watches.open(onChange, signal);
  }

  sync(signal?: AbortSignal): Promise<StoreTime> {
    return this.#asking.ask(signal, (patience) => this.#store.sync(patience));
  }

  examine(signal?: AbortSignal): Promise<StoreReport> {
    return examineStore(this.#store, this.#asking, signal);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#watches.close();
    const withdrawn = this.#joining.close();
    await this.#sessions.close();
    await withdrawn;
    await this.#history.finished();
    this.#asking.close();
    await bestEffort(this.#options.log, "the connection ends with the process", () => this.#store.close());
  }
}
