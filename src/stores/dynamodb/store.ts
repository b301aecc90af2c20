// The DynamoDB store: the operations of the seam, over a replica that is read anew before each answer and a log that commits are written
// to. One request is one commit.
import type { StoreTime } from "../../locks/coordinator.js";
import type { Log } from "../../locks/log.js";
import type { Examined } from "../../locks/store-report.js";
import { bestEffort } from "../../locks/errors.js";
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
import { type Contents, queueOf } from "../../queue/model/contents.js";
import {
  archivedIn,
  documentsIn,
  endedSessions,
  entriesIn,
  entriesOfClaim,
  lineOf,
  lockNames,
  trimmedArchive,
} from "../../queue/model/looks.js";
import type { DynamoClient } from "./client.js";
import type { StoreClock } from "./clock.js";
import { examineTable, type Place } from "./examine.js";
import type { Replica } from "./replica.js";
import type { Sessions } from "./sessions.js";
import type { Table } from "./table.js";
import { TRAITS } from "./traits.js";
import type { Writer } from "./writer.js";

// A snapshot that is being taken when the process ends has so long. Later commits take another.
const LAST_WORK_MS = 3_000;

export interface StoreParts {
  readonly place: Place;
  readonly client: DynamoClient;
  readonly table: Table;
  readonly clock: StoreClock;
  readonly replica: Replica;
  readonly writer: Writer;
  readonly sessions: Sessions;
  readonly sleepTimeMs: number;
  readonly log: Log;
}

export class DynamoStore implements QueueStore {
  readonly name: string;
  readonly isShared = true;
  readonly traits = TRAITS;
  readonly #parts: StoreParts;
  readonly #feeds = new Set<StoreFeed>();

  constructor(parts: StoreParts) {
    const { table, where, prefix } = parts.place;
    this.name = `dynamodb://${table}?at=${where}&prefix=${prefix}`;
    this.#parts = parts;
  }

  commit(steps: readonly Step[]): Promise<Committed> {
    return this.#parts.writer.commit(steps);
  }

  line(lock: string, refs?: readonly string[]): Promise<Line> {
    const waiting = (contents: Contents): readonly (string | null)[] =>
      lineOf(contents, lock, refs).places.map(({ durable, session }) => (durable ? null : session));
    return this.#look(waiting, (contents) => lineOf(contents, lock, refs));
  }

  read(lock: string, first?: number): Promise<readonly StoredEntry[]> {
    const sessions = (contents: Contents) => queueOf(contents, lock).map(({ session }) => session);
    return this.#look(sessions, (contents) => entriesIn(contents, lock, first));
  }

  readClaim(claim: string): Promise<readonly StoredEntry[]> {
    const sessions = (contents: Contents) => entriesOfClaim(contents, claim).map(({ session }) => session);
    return this.#look(sessions, (contents) => entriesOfClaim(contents, claim));
  }

  locks(): Promise<readonly string[]> {
    return this.#look(null, lockNames);
  }

  endedSessions(): Promise<readonly string[]> {
    return this.#look(({ sessions }) => [...sessions.keys()], endedSessions);
  }

  archived(query: ArchiveQuery): Promise<readonly Archived[]> {
    return this.#look(null, (contents) => archivedIn(contents, query));
  }

  async trim(lock: string | null, keep: number, oldest: number): Promise<void> {
    const { replica, writer } = this.#parts;
    await replica.catchUp();
    const left = trimmedArchive(replica.contents, lock, keep, oldest);
    if (left.length < replica.contents.archive.length) await writer.commit({ do: "trim", lock, keep, oldest });
  }

  document(name: string): Promise<StoredDocument | null> {
    return this.#look(null, ({ documents }) => documents.get(name) ?? null);
  }

  documents(prefix: string): Promise<readonly StoredDocument[]> {
    return this.#look(null, (contents) => documentsIn(contents, prefix));
  }

  openSession(timeoutMs: number): Promise<string> {
    return this.#parts.sessions.open(timeoutMs);
  }

  renew(session: SessionRef): Promise<boolean> {
    return this.#parts.sessions.renew(session);
  }

  async watch(lock: string | null, onChange: (change: StoreChange) => void): Promise<StoreFeed> {
    const { replica, sleepTimeMs, log } = this.#parts;
    await replica.catchUp();
    const unlisten = replica.listen((change) => {
      if (change === null || lock === null || ("lock" in change && change.lock === lock)) onChange(change);
    });
    // Those who wait in a queue look for themselves.
    const look = (): Promise<void> => bestEffort(log, "changes are looked for later", () => replica.catchUp());
    const timer = lock === null ? setInterval(() => void look(), sleepTimeMs) : undefined;
    const feed = {
      caughtUp: () => this.sync(),
      close: () => {
        unlisten();
        clearInterval(timer);
        this.#feeds.delete(feed);
      },
    };
    this.#feeds.add(feed);
    return feed;
  }

  async sync(): Promise<StoreTime> {
    const { replica, clock } = this.#parts;
    await replica.catchUp();
    // Each reply has its time.
    return clock.time as StoreTime;
  }

  reconnect(why: string): void {
    this.#parts.client.reconnect(why);
  }

  async close(): Promise<void> {
    const { client, writer } = this.#parts;
    for (const feed of [...this.#feeds]) feed.close();
    const late = setTimeout(() => client.close(), LAST_WORK_MS);
    await writer.finished();
    clearTimeout(late);
    client.close();
  }

  examine(): Promise<Examined> {
    const { place, table, replica } = this.#parts;
    return examineTable(place, table, replica);
  }

  /** What the contents are now. @param sessionsIn the sessions whose end matters for the answer; `null`: none */
  async #look<T>(
    sessionsIn: ((contents: Contents) => readonly (string | null)[]) | null,
    answer: (contents: Contents) => T,
  ): Promise<T> {
    const { replica, sessions } = this.#parts;
    await replica.catchUp();
    if (sessionsIn !== null) await sessions.tend(sessionsIn(replica.contents).filter((id) => id !== null));
    return answer(replica.contents);
  }
}
