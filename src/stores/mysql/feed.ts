// Telling of changes in a store that tells nobody: what this process commits is told at once, and what others commit is looked for. Only
// those who watch all of the store need that: whoever waits in one queue looks for itself, as at every store that is polled.
import type { CoordinatorOptions, StoreTime } from "../../locks/coordinator.js";
import { bestEffort } from "../../locks/errors.js";
import type { StoreChange, StoreFeed } from "../../queue/store.js";
import type { Link } from "./link.js";
import { NOW, number, numberIn, type Tables, textIn } from "./sql.js";

/** So many of the latest commits' changes are kept at least: more than there are between two looks. */
export const KEPT_CHANGES = 4_096;

type FeedOptions = Pick<CoordinatorOptions, "sleepTimeMs" | "log">;

export class Feeds {
  readonly #link: Link;
  readonly #tables: Tables;
  readonly #options: FeedOptions;
  readonly #feeds = new Set<Feed>();

  constructor(link: Link, tables: Tables, options: FeedOptions) {
    this.#link = link;
    this.#tables = tables;
    this.#options = options;
  }

  /** @param lock whose changes are told; `null`: those of all */
  async open(lock: string | null, onChange: (change: StoreChange) => void): Promise<StoreFeed> {
    const feed: Feed = new Feed(this.#link, this.#tables, lock, onChange, () => this.#feeds.delete(feed));
    await feed.begin();
    this.#feeds.add(feed);
    if (lock === null) feed.lookEvery(this.#options);
    return feed;
  }

  /** This process has committed something. */
  tell(changes: readonly StoreChange[]): void {
    for (const feed of this.#feeds) for (const change of changes) feed.tell(change);
  }

  close(): void {
    for (const feed of this.#feeds) feed.close();
  }
}

//   looking every so often → closed
class Feed implements StoreFeed {
  readonly #link: Link;
  readonly #tables: Tables;
  readonly #lock: string | null;
  readonly #onChange: (change: StoreChange) => void;
  readonly #onClose: () => void;
  /** All that was committed up to it has been told. */
  #seen = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(link: Link, tables: Tables, lock: string | null, onChange: (change: StoreChange) => void, onClose: () => void) {
    this.#link = link;
    this.#tables = tables;
    this.#lock = lock;
    this.#onChange = onChange;
    this.#onClose = onClose;
  }

  async begin(): Promise<void> {
    const [[[revision] = []] = []] = await this.#link.ask(`SELECT revision FROM ${this.#tables.root}`);
    this.#seen = numberIn(revision);
  }

  tell(change: StoreChange): void {
    if (this.#isClosed) return;
    if (change === null || this.#lock === null || ("lock" in change && change.lock === this.#lock)) this.#onChange(change);
  }

  async caughtUp(): Promise<StoreTime> {
    const seen = this.#seen;
    const { root, changes } = this.#tables;
    // The root is read first: what is committed between the two is told now and once more.
    const [[[revision, now] = []] = [], names = []] = await this.#link.ask(
      `SELECT revision, ${NOW} FROM ${root}; SELECT DISTINCT is_document, name FROM ${changes} WHERE revision > ${number(seen)}`,
    );
    const latest = numberIn(revision);
    // Fewer than then: a backup was restored.
    if (latest < seen || latest - seen > KEPT_CHANGES) this.tell(null);
    else for (const [isDocument, name] of names) this.tell(changeOf(numberIn(isDocument) === 1, textIn(name)));
    // Two looks at once may end in either order, and what the later one has seen has been told.
    if (this.#seen === seen) this.#seen = latest;
    return { ms: numberIn(now), errorMs: 0 };
  }

  lookEvery({ sleepTimeMs, log }: FeedOptions): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      void bestEffort(log, "the store cannot be watched: it is tried again", async () => {
        try {
          await this.caughtUp();
        } catch (error) {
          this.tell(null);
          throw error;
        }
      }).then(() => this.lookEvery({ sleepTimeMs, log }));
    }, sleepTimeMs);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#onClose();
  }
}

function changeOf(isDocument: boolean, name: string): StoreChange {
  return isDocument ? { document: name } : { lock: name };
}
