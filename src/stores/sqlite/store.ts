// The SQLite store: the queues of one machine in one file, for many processes at once. A session is a process, so that the dead are
// noticed by whoever looks. It owns the operations of the seam; rows, steps, sessions and the file are its neighbours'.
import { randomUUID } from "node:crypto";
import type { CoordinatorOptions, StoreTime } from "../../locks/coordinator.js";
import type { Examined } from "../../locks/store-report.js";
import { bestEffort } from "../../locks/errors.js";
import type {
  Archived,
  ArchiveQuery,
  Committed,
  Line,
  QueueStore,
  Refusal,
  SessionRef,
  Step,
  StoreChange,
  StoredDocument,
  StoredEntry,
  StoreFeed,
} from "../../queue/store.js";
import { readArchive, trimArchive } from "./archive.js";
import { announceChange, type ChangeWatch, watchChanges } from "./changes.js";
import { anchorClock, readClock, systemTime, tickClock } from "./clock.js";
import type { Database, Row, Sql } from "./database.js";
import { openFeed } from "./feed.js";
import { examineFile } from "./file.js";
import { readOwnIdentity } from "./process-identity.js";
import { readClaimEntries, readEntries, readPlaces, type SessionSight } from "./rows.js";
import { drawNumber, hasTable, latestNumber } from "./schema.js";
import { addSession, endSession, findEnded, hasSession, knownSessions, type Observer, sightOf } from "./sessions.js";
import { carryOut, type Left, type StepsDone } from "./steps.js";
import { TRAITS } from "./traits.js";

/** Thrown in a transaction to have it rolled back. */
class Refused extends Error {
  constructor(
    readonly step: number,
    readonly why: Refusal,
  ) {
    super(why);
  }
}

export class SqliteStore implements QueueStore {
  readonly name: string;
  /** Its file is on a disk of this machine alone. */
  readonly isShared = false;
  readonly traits = TRAITS;
  readonly #database: Database;
  readonly #options: CoordinatorOptions;
  readonly #time = systemTime();
  readonly #observer: Observer;
  readonly #own = new Set<string>();
  readonly #waiting = new Set<{ readonly lock: string; readonly tell: (change: StoreChange) => void }>();
  #announcements: ChangeWatch | null = null;
  readonly #feeds = new Set<StoreFeed>();

  constructor(database: Database, options: CoordinatorOptions) {
    this.name = `sqlite://${database.path}`;
    this.#database = database;
    this.#options = options;
    this.#observer = { self: readOwnIdentity(), lives: database.lives };
  }

  /** Puts in order what was left by those who are gone. */
  async begin(): Promise<void> {
    const { lives } = this.#database;
    const shown = lives.names();
    const there = await this.#database.write(undefined, (sql) => {
      anchorClock(sql, this.#time);
      for (const session of findEnded(sql, this.#observer)) endSession(sql, session);
      return knownSessions(sql);
    });
    const others = shown.filter((id) => !there.has(id));
    await bestEffort(this.#options.log, "files of ended sessions stay", () => others.forEach((id) => lives.sweep(id)));
  }

  async commit(steps: readonly Step[], signal?: AbortSignal): Promise<Committed> {
    let done: StepsDone = { appended: [], kept: [], left: [] };
    try {
      const committed = await this.#database.write(signal, (sql): Committed => {
        done = { appended: [], kept: [], left: [] };
        const revision = drawNumber(sql);
        let at: number | null = null;
        const now = (): number => (at ??= tickClock(sql, this.#time));
        const context = { revision, now, lives: this.#sight(sql) };
        for (const [index, step] of steps.entries()) {
          const why = carryOut(sql, step, context, done);
          if (why !== null) throw new Refused(index, why);
        }
        return { isDone: true, revision, at: at ?? 0, appended: done.appended, kept: done.kept };
      });
      for (const step of steps) if (step.do === "end") await this.#forget(step.session);
      if (done.left.some((left) => this.#isAwaited(left))) announceChange(this.#database.path, this.#options.log);
      return committed;
    } catch (error) {
      if (error instanceof Refused) return { isDone: false, step: error.step, why: error.why };
      throw error;
    }
  }

  line(lock: string, refs?: readonly string[], signal?: AbortSignal): Promise<Line> {
    return this.#database.read(signal, (sql) => ({
      places: readPlaces(sql, lock, refs, this.#sight(sql)),
      revision: latestNumber(sql),
    }));
  }

  read(lock: string, first = Number.MAX_SAFE_INTEGER, signal?: AbortSignal): Promise<readonly StoredEntry[]> {
    return this.#database.read(signal, (sql) => readEntries(sql, lock, first, this.#sight(sql)));
  }

  readClaim(claim: string, signal?: AbortSignal): Promise<readonly StoredEntry[]> {
    return this.#database.read(signal, (sql) => readClaimEntries(sql, claim, this.#sight(sql)));
  }

  locks(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#database.read(signal, (sql) => {
      const rows = sql.all("SELECT DISTINCT lock FROM claims");
      return rows.map((row) => row["lock"] as string).sort();
    });
  }

  endedSessions(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#database.read(signal, (sql) => findEnded(sql, this.#observer));
  }

  archived(query: ArchiveQuery, signal?: AbortSignal): Promise<readonly Archived[]> {
    return this.#database.read(signal, (sql) => readArchive(sql, query));
  }

  trim(lock: string | null, keep: number, oldest: number, signal?: AbortSignal): Promise<void> {
    return this.#database.write(signal, (sql) => trimArchive(sql, lock, keep, oldest));
  }

  document(name: string, signal?: AbortSignal): Promise<StoredDocument | null> {
    return this.#database.read(signal, (sql) => {
      if (!hasTable(sql, "documents")) return null;
      const row = sql.one("SELECT name, value, revision FROM documents WHERE name = ?", name);
      return row === null ? null : documentOf(row);
    });
  }

  documents(prefix: string, signal?: AbortSignal): Promise<readonly StoredDocument[]> {
    return this.#database.read(signal, (sql) => {
      if (!hasTable(sql, "documents")) return [];
      const rows = sql.all(
        "SELECT name, value, revision FROM documents WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name",
        prefix,
      );
      return rows.map(documentOf);
    });
  }

  async openSession(_timeoutMs: number, signal?: AbortSignal): Promise<string> {
    let id: string = randomUUID();
    const { lives } = this.#database;
    let isShown = false;
    await bestEffort(this.#options.log, "other pid namespaces will not see this process end before the next boot", () => {
      lives.begin(id);
      isShown = true;
    });
    // A file that is there and not held would say that the session has ended; without one it counts as alive.
    if (!isShown) id = randomUUID();
    await this.#database.write(signal, (sql) => {
      drawNumber(sql);
      addSession(sql, id, this.#observer.self);
    });
    this.#own.add(id);
    return id;
  }

  /** A process that lives keeps its session, however long it is silent. */
  renew({ id }: SessionRef, signal?: AbortSignal): Promise<boolean> {
    return this.#database.read(signal, (sql) => hasSession(sql, id));
  }

  async watch(lock: string | null, onChange: (change: StoreChange) => void, signal?: AbortSignal): Promise<StoreFeed> {
    if (lock === null) {
      const feed = await openFeed(this.#database, this.#time, this.#options, onChange, signal);
      this.#feeds.add(feed);
      return {
        caughtUp: (patience) => feed.caughtUp(patience),
        close: () => {
          this.#feeds.delete(feed);
          feed.close();
        },
      };
    }
    const waiting = { lock, tell: onChange };
    this.#waiting.add(waiting);
    // What has changed is not said: all look.
    this.#announcements ??= watchChanges(this.#database.path, this.#options.log, () => {
      for (const { lock: watched, tell } of [...this.#waiting]) tell({ lock: watched });
    });
    return {
      caughtUp: (patience) => this.sync(patience),
      close: () => {
        this.#waiting.delete(waiting);
        if (this.#waiting.size > 0) return;
        this.#announcements?.close();
        this.#announcements = null;
      },
    };
  }

  async sync(signal?: AbortSignal): Promise<StoreTime> {
    return { ms: await this.#database.read(signal, (sql) => readClock(sql, this.#time)), errorMs: 0 };
  }

  /** There is no connection. */
  reconnect(): void {}

  async close(): Promise<void> {
    const { log } = this.#options;
    for (const feed of this.#feeds) feed.close();
    this.#announcements?.close();
    // Also where the database did not take their end: the process has no more to do with them.
    for (const session of [...this.#own]) await this.#forget(session);
    await bestEffort(log, "the system closes it with the process", () => this.#database.close());
  }

  async examine(signal?: AbortSignal): Promise<Examined> {
    const version = await this.#database.read(signal, (sql) => String(sql.one("SELECT sqlite_version() AS version")?.["version"]));
    return examineFile(this.#database.path, version);
  }

  #sight(sql: Sql): SessionSight {
    return sightOf(sql, this.#observer);
  }

  /** Of a session of this process that has ended nothing is shown any more. */
  async #forget(session: string): Promise<void> {
    if (!this.#own.delete(session)) return;
    await bestEffort(this.#options.log, "it ends with the process", () => this.#database.lives.end(session));
  }

  /**
   * Whether removing an entry must wake a waiter. Those who stand behind it wait for that; so does its owner, who may be this very
   * process. Telling costs half as much as a whole transaction, because the disk hears of it too.
   */
  #isAwaited({ session, hasFollowers }: Left): boolean {
    return hasFollowers || !this.#own.has(session) || this.#waiting.size > 0;
  }
}

function documentOf(row: Row): StoredDocument {
  return { name: row["name"] as string, value: row["value"] as string, revision: row["revision"] as number };
}
