// The etcd store: it binds the operations of the seam to the cluster and to the files that carry them out. Every commit is one
// transaction, and etcd's revision is its number.
import type { CoordinatorOptions, StoreTime } from "../../locks/coordinator.js";
import type { Examined } from "../../locks/store-report.js";
import { HoldlineError } from "../../locks/errors.js";
import type {
  Archived,
  ArchiveQuery,
  Committed,
  Line,
  QueueStore,
  SessionRef,
  Step,
  StoreChange,
  StoredDocument,
  StoredEntry,
  StoreFeed,
} from "../../queue/store.js";
import { readArchive, trimArchive } from "./archive.js";
import { Commits } from "./commit.js";
import { examineCluster } from "./examination.js";
import { Layout } from "./layout.js";
import { parseRef } from "./places.js";
import { Reads } from "./reads.js";
import { openRoot } from "./root.js";
import { Sessions } from "./sessions.js";
import { TRAITS } from "./traits.js";
import type { EtcdAddress } from "./url.js";
import { KeyWatch } from "./watching.js";
import { Links } from "./wire/links.js";
import { Wire } from "./wire/wire.js";

export class EtcdStore implements QueueStore {
  readonly isShared = true;
  readonly traits = TRAITS;
  readonly #address: EtcdAddress;
  readonly #options: CoordinatorOptions;
  readonly #wire: Wire;
  readonly #layout: Layout;
  readonly #commits: Commits;
  readonly #reads: Reads;
  readonly #sessions: Sessions;
  readonly #watches = new Set<KeyWatch>();
  #root: string | null = null;

  constructor(address: EtcdAddress, options: CoordinatorOptions) {
    const { endpoints, credentials, prefix } = address;
    this.#address = address;
    this.#options = options;
    this.#wire = new Wire(new Links({ endpoints, credentials, ...options }));
    this.#layout = new Layout(prefix);
    this.#commits = new Commits(this.#wire, this.#layout);
    this.#reads = new Reads(this.#wire, this.#layout);
    this.#sessions = new Sessions(this.#wire, this.#layout);
  }

  /** The root's own name: the same whichever members a URL names, and after a return from a backup. */
  get name(): string {
    return `etcd:${this.#root ?? this.#address.prefix}`;
  }

  commit(steps: readonly Step[]): Promise<Committed> {
    return this.#commits.commit(steps);
  }

  line(lock: string, refs?: readonly string[]): Promise<Line> {
    return this.#reads.line(lock, refs);
  }

  read(lock: string, first?: number): Promise<readonly StoredEntry[]> {
    return this.#reads.read(lock, first);
  }

  readClaim(claim: string): Promise<readonly StoredEntry[]> {
    return this.#reads.readClaim(claim);
  }

  locks(): Promise<readonly string[]> {
    return this.#reads.locks();
  }

  /** What ended sessions had goes with their leases: there is nothing to put away. */
  endedSessions(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  archived(query: ArchiveQuery): Promise<readonly Archived[]> {
    return readArchive(this.#wire, this.#layout, query);
  }

  trim(lock: string | null, keep: number, oldest: number): Promise<void> {
    return trimArchive(this.#wire, this.#layout, lock, keep, oldest);
  }

  document(name: string): Promise<StoredDocument | null> {
    return this.#reads.document(name);
  }

  documents(prefix: string): Promise<readonly StoredDocument[]> {
    return this.#reads.documents(prefix);
  }

  openSession(timeoutMs: number): Promise<string> {
    this.#commits.forget();
    return this.#sessions.open(timeoutMs);
  }

  renew(session: SessionRef): Promise<boolean> {
    return this.#sessions.renew(session);
  }

  async watch(lock: string | null, onChange: (change: StoreChange) => void): Promise<StoreFeed> {
    const range = lock === null ? this.#layout.watched : this.#layout.queue(lock);
    const tell = (keys: readonly string[] | null): void => {
      if (lock !== null) onChange(keys === null ? null : { lock, isAbout: this.#isAbout(lock, keys) });
      else for (const change of keys === null ? [null] : this.#changesOf(keys)) onChange(change);
    };
    const watch = new KeyWatch(this.#wire, range, tell, this.#options.log);
    this.#watches.add(watch);
    const close = (): void => {
      this.#watches.delete(watch);
      watch.close();
    };
    try {
      await watch.open();
    } catch (error) {
      close();
      throw error;
    }
    return { caughtUp: () => this.#caughtUp(lock, watch, onChange), close };
  }

  /** Also finds, or makes, the root: what is under the prefix is not touched before. */
  async sync(): Promise<StoreTime> {
    if (this.#root === null) this.#root = await openRoot(this.#wire, this.#layout, this.#options.isAsFound === true);
    else await this.#wire.range({ key: this.#layout.root, only: "count" });
    return this.#now();
  }

  reconnect(why: string): void {
    this.#wire.links.drop(why);
  }

  close(): Promise<void> {
    for (const watch of this.#watches) watch.close();
    this.#wire.links.close();
    return Promise.resolve();
  }

  examine(): Promise<Examined> {
    return examineCluster(this.#wire, this.#layout, this.#address);
  }

  async #now(): Promise<StoreTime> {
    return (await this.#wire.links.current()).clock.current();
  }

  /** Writes a mark, and waits until the watch tells of it. */
  async #caughtUp(lock: string | null, watch: KeyWatch, onChange: (change: StoreChange) => void): Promise<StoreTime> {
    try {
      if (lock !== null) onChange({ lock });
      else {
        const mark = { put: { key: this.#layout.mark, value: "" } };
        await watch.told((await this.#wire.transact({ compares: [], success: [mark] })).header.revision);
      }
    } catch (error) {
      // One who may only read makes no mark, and has to look at everything.
      if (!(error instanceof HoldlineError) || error.code !== "not-allowed") throw error;
      onChange(null);
    }
    return this.sync();
  }

  /** An entry's keys go by its claim, which is in its queue but once. */
  #isAbout(lock: string, keys: readonly string[]): (ref: string) => boolean {
    return (ref) => {
      const { key } = this.#layout.entry(lock, parseRef(ref).claim);
      return keys.some((one) => one.startsWith(key));
    };
  }

  #changesOf(keys: readonly string[]): readonly StoreChange[] {
    const locks = new Set<string>();
    const documents = new Set<string>();
    for (const key of keys) {
      const [folder, name] = this.#layout.partsOf(key) ?? [];
      if (name === undefined) continue;
      if (folder === "locks" || folder === "history") locks.add(name);
      else if (folder === "documents") documents.add(name);
    }
    return [...[...locks].map((lock) => ({ lock })), ...[...documents].map((document) => ({ document }))];
  }
}
