// PostgreSQL as a store: each operation is one call of a function in the root's schema, and so one round trip and one transaction, behind
// a pooler as well. What the functions do is in commit-function.ts and functions.ts.
import type { CoordinatorOptions, StoreTime } from "../../locks/coordinator.js";
import type { Examined } from "../../locks/store-report.js";
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
  StoreTraits,
} from "../../queue/store.js";
import { examineServer } from "./examination.js";
import { Feeds } from "./feeds.js";
import type { Primary } from "./primary.js";
import {
  type ArchivedRow,
  archivedOf,
  byName,
  type CommitRow,
  committedOf,
  type DocumentRow,
  documentOf,
  type EntryRow,
  entryOf,
  type PlaceRow,
  placeOf,
  positionOf,
  stepsText,
} from "./rows.js";
import { Sightings } from "./sightings.js";
import { quoteName } from "./tables.js";
import { isFull, isReadOnly, requestTrouble } from "./troubles.js";

export class PostgresStore implements QueueStore {
  readonly name: string;
  readonly isShared = true;
  readonly traits: StoreTraits;
  readonly #primary: Primary;
  readonly #feeds: Feeds;
  readonly #schema: string;
  readonly #sightings = new Sightings();

  /** @param name see `QueueStore.name` */
  constructor(name: string, traits: StoreTraits, primary: Primary, options: CoordinatorOptions) {
    this.name = name;
    this.traits = traits;
    this.#primary = primary;
    this.#feeds = new Feeds(primary, options);
    this.#schema = quoteName(primary.address.schema);
  }

  async commit(steps: readonly Step[], signal?: AbortSignal): Promise<Committed> {
    try {
      const committed = committedOf(await this.#call<CommitRow>("commit($1::jsonb)", [stepsText(steps)], signal));
      if (committed.isDone) this.#sightings.see(committed.revision);
      return committed;
    } catch (error) {
      const bookkeeping = steps.findIndex((step) => step.do === "archive" || (step.do === "document" && step.value !== null));
      if (isFull((error as Error).cause) && bookkeeping >= 0) return { isDone: false, step: bookkeeping, why: "no-room" };
      throw error;
    }
  }

  async line(lock: string, refs?: readonly string[], signal?: AbortSignal): Promise<Line> {
    const values = [lock, refs?.map(positionOf) ?? null];
    const { places, revision } = await this.#call<{ places: readonly PlaceRow[]; revision: number }>(
      "line($1, $2::bigint[])",
      values,
      signal,
    );
    this.#sightings.see(revision);
    return { places: places.map(placeOf), revision };
  }

  async read(lock: string, first?: number, signal?: AbortSignal): Promise<readonly StoredEntry[]> {
    return (await this.#call<readonly EntryRow[]>("read($1, $2::bigint)", [lock, first ?? null], signal)).map(entryOf);
  }

  async readClaim(claim: string, signal?: AbortSignal): Promise<readonly StoredEntry[]> {
    // No text of the database has one, and it would not take the question.
    if (claim.includes("\0")) return [];
    const rows = await this.#call<readonly EntryRow[]>("read_claim($1)", [claim], signal);
    return byName(rows.map(entryOf), ({ lock }) => lock);
  }

  async locks(signal?: AbortSignal): Promise<readonly string[]> {
    return byName(await this.#call<readonly string[]>("locks()", [], signal), (lock) => lock);
  }

  endedSessions(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#call("ended_sessions()", [], signal);
  }

  async archived({ lock, limit, before, among }: ArchiveQuery, signal?: AbortSignal): Promise<readonly Archived[]> {
    const rows = await this.#call<readonly ArchivedRow[]>(
      "archived($1, $2::bigint, $3::bigint, $4::bigint)",
      [lock, limit, before, among],
      signal,
    );
    return rows.map(archivedOf);
  }

  async trim(lock: string | null, keep: number, oldest: number, signal?: AbortSignal): Promise<void> {
    const since = Number.isFinite(oldest) ? Math.ceil(oldest) : null;
    await this.#call("trim_archive($1, $2::bigint, $3::bigint)", [lock, keep, since], signal);
  }

  async document(name: string, signal?: AbortSignal): Promise<StoredDocument | null> {
    const row = await this.#call<DocumentRow | null>("document($1)", [name], signal);
    return row === null ? null : documentOf(row);
  }

  async documents(prefix: string, signal?: AbortSignal): Promise<readonly StoredDocument[]> {
    const rows = await this.#call<readonly DocumentRow[]>("documents($1)", [prefix], signal);
    return byName(rows.map(documentOf), ({ name }) => name);
  }

  async openSession(timeoutMs: number, signal?: AbortSignal): Promise<string> {
    const values = [Math.ceil(timeoutMs)];
    const { id, revision } = await this.#call<{ id: string; revision: number }>("open_session($1::bigint)", values, signal);
    this.#sightings.see(revision);
    this.#sightings.begin(id);
    return id;
  }

  renew({ id, epoch }: SessionRef, signal?: AbortSignal): Promise<boolean> {
    return this.#call("renew($1, $2::bigint, $3::bigint[])", [id, epoch, this.#sightings.since(id)], signal);
  }

  watch(lock: string | null, onChange: (change: StoreChange) => void): Promise<StoreFeed> {
    return this.#explained(this.#feeds.open(lock, onChange));
  }

  async sync(signal?: AbortSignal): Promise<StoreTime> {
    // A number of eight bytes comes as text.
    return { ms: Number(await this.#call<string>("store_ms()", [], signal)), errorMs: 0 };
  }

  reconnect(why: string): void {
    this.#primary.reconnect(why);
    this.#feeds.reconnect(why);
  }

  async close(): Promise<void> {
    this.#feeds.close();
    await this.#primary.close();
  }

  examine(): Promise<Examined> {
    return this.#explained(this.#primary.current().then((reached) => examineServer(reached, this.#primary.address)));
  }

  async #call<T>(call: string, values: readonly unknown[], signal?: AbortSignal): Promise<T> {
    const question = `SELECT ${this.#schema}.${call} AS result`;
    const { connection } = await this.#primary.current();
    try {
      const { result } = await connection.ask<{ readonly result: T }>(question, values, signal);
      return result;
    } catch (error) {
      const trouble = requestTrouble(error, this.#primary.address);
      // The primary is another one by now, and this one would refuse for as long as it is asked.
      if (isReadOnly(error)) {
        connection.drop(trouble.message);
        this.#feeds.reconnect(trouble.message);
      }
      throw trouble;
    }
  }

  async #explained<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      throw requestTrouble(error, this.#primary.address);
    }
  }
}
