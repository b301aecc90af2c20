// The SQLite coordinator: the queues of one machine in one file, for many processes at once. A session is a process, so
// that the dead are noticed by whoever looks. It owns the operations; rows, sessions and the file are its neighbours'.
import type { Claim, ClaimRecord } from "../../locks/claim.js";
import { encodeRecord } from "../../locks/claim.js";
import type {
  Change,
  Coordinator,
  CoordinatorOptions,
  Draft,
  Ending,
  EntryRef,
  HistoryRecord,
  Joined,
  Keeping,
  JustSettled,
  Settled,
  QueuePosition,
  StoreReport,
  StoreTime,
  StoreWatch,
  WriteOutcome,
} from "../../locks/coordinator.js";
import { bestEffort, ClaimLostError, HoldlineError, messageOf, SessionLostError } from "../../locks/errors.js";
import { historyBoundsOf } from "../../locks/history-bounds.js";
import { link } from "../../locks/signals.js";
import {
  type ClaimRow,
  findClaim,
  findDeparted,
  findEntries,
  findRow,
  findUnchanged,
  isClaimed,
  readQueue,
  refOf,
  removeEphemeral,
  slotsColumn,
  standingOf,
} from "./claims.js";
import { readClock, tickClock } from "./clock.js";
import { connect, type Database } from "./database.js";
import { Feed } from "./feed.js";
import { examineFile } from "./file.js";
import { HistoryTable, type TrimDue } from "./history.js";
import { Membership } from "./membership.js";
import { prepareSchema } from "./schema.js";
import { hasSession, type SqliteSession } from "./sessions.js";
import { TRAITS } from "./traits.js";
import { parseSqliteUrl } from "./url.js";
import { openView } from "./view.js";

/**
 * Opens a database, and makes it where there is none, unless it is to be taken as it is found.
 * @param url see url.ts
 * @throws UnreachableError when the file cannot be used, with its path, what is wrong and what to do
 */
export async function openSqlite(url: string, options: CoordinatorOptions): Promise<Coordinator> {
  const path = parseSqliteUrl(url);
  const view = options.isAsFound === true ? await openView(path, options) : null;
  if (view !== null) return view;
  const database = await connect(path, options);
  try {
    await prepareSchema(database, options.connectTimeoutMs);
    const coordinator = new SqliteCoordinator(database, options);
    await coordinator.begin();
    return coordinator;
  } catch (error) {
    database.close();
    throw error;
  }
}

class SqliteCoordinator implements Coordinator {
  /** Its file is on a disk of this machine alone. */
  readonly isShared = false;
  readonly traits = TRAITS;
  readonly store: string;
  readonly #database: Database;
  readonly #membership: Membership;
  readonly #feed: Feed;
  readonly #options: CoordinatorOptions;
  readonly #history: HistoryTable;

  constructor(database: Database, options: CoordinatorOptions) {
    this.store = `sqlite://${database.path}`;
    this.#database = database;
    this.#membership = new Membership(database, options);
    this.#history = new HistoryTable(historyBoundsOf(options), this.#membership.time);
    this.#feed = new Feed(database, this.#membership, options);
    this.#options = options;
  }

  begin(): Promise<void> {
    return this.#membership.begin();
  }

  async join(draft: Draft, signal?: AbortSignal): Promise<Joined> {
    const { id, locks, key, slots, owner, reason, data, lease } = draft;
    const record = encodeRecord({ owner, key, slots, reason, data, lease, made: null, expiresAt: null, failure: null });
    for (;;) {
      const session = await this.#membership.session(signal);
      const standings = await this.#membership.write(signal, (sql, revision) => {
        if (!hasSession(sql, session.id)) return null;
        // Usually it is one lock that nobody claims. Then there is nobody to look at, and this claim is not there yet.
        const isFree = locks.length === 1 && !isClaimed(sql, locks[0] as string);
        if (!isFree) this.#membership.removeGone(sql, { locks });
        const since = tickClock(sql, this.#membership.time);
        return locks.map((lock) => {
          const found = isFree ? null : findClaim(sql, lock, id);
          if (found !== null && found.session !== session.id) {
            throw new HoldlineError("conflict", `another session stands in the queue of ${lock} with the claim id ${id}`);
          }
          if (found !== null) return standingOf(sql, lock, found);
          const position = sql.run(
            `INSERT INTO claims (lock, claim, session, durable, key, slots, revision, since_ms, fencing_token, record)
             VALUES (?, ?, ?, 0, ?, ?, ?, ?, NULL, ?)`,
            ...[lock, id, session.id, key, slotsColumn(slots), revision, since, record],
          );
          return isFree ? { lock, ref: refOf(position), revision, ahead: [] } : standingOf(sql, lock, { position, revision });
        });
      });
      if (standings !== null) return { session, positions: standings };
      session.lose("the session was removed from the database");
    }
  }

  async position(entry: EntryRef, signal?: AbortSignal): Promise<QueuePosition> {
    const session = this.#membership.latest;
    const [standing, isSessionThere] = await this.#membership.look({ locks: [entry.lock] }, signal, (sql) => {
      const row = findRow(sql, entry);
      return [row === null ? null : standingOf(sql, entry.lock, row), session !== null && hasSession(sql, session.id)] as const;
    });
    if (standing !== null) return standing;
    throw this.#lossOf(session, isSessionThere, entry);
  }

  async departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    const session = joined.session as SqliteSession;
    const own = joined.positions.find((standing) => standing.lock === lock && !refs.includes(standing.ref));
    const { signal: ended, unlink } = link(session.lost, signal);
    // Before the first look: what is announced after it is not missed.
    const changes = this.#membership.watch();
    try {
      for (;;) {
        const [gone, isSessionThere] = await this.#membership.look({ lock, refs }, ended, (sql) => {
          return [findDeparted(sql, lock, own === undefined ? refs : [...refs, own.ref]), hasSession(sql, session.id)] as const;
        });
        if (!isSessionThere) session.lose("the session was removed from the database");
        ended.throwIfAborted();
        if (own !== undefined && gone.includes(own.ref)) {
          throw new ClaimLostError(`the claim was taken out of the queue of ${lock}`, {
            hint: `someone removed the entry ${own.ref}`,
          });
        }
        if (gone.length > 0) return gone;
        await changes.next(this.#options.sleepTimeMs, ended);
        ended.throwIfAborted();
      }
    } finally {
      this.#membership.unwatch(changes);
      unlink();
    }
  }

  async settle(draft: Draft, joined: Joined, record: ClaimRecord, signal?: AbortSignal): Promise<JustSettled> {
    const session = joined.session as SqliteSession;
    const { positions: standings } = joined;
    const settled = await this.#membership.write(
      signal,
      (sql, number): JustSettled | { readonly missing: EntryRef; readonly isSessionThere: boolean } => {
        const rows = standings.map((standing) => findRow(sql, standing));
        const isOurs = (row: ClaimRow | null): boolean => {
          if (row?.claim !== draft.id) return false;
          return row.session === session.id || (row.durable && row.session === this.#membership.latest?.id);
        };
        const lost = rows.findIndex((row) => !isOurs(row));
        if (lost >= 0) return { missing: standings[lost] as EntryRef, isSessionThere: hasSession(sql, session.id) };
        const [first] = rows;
        if (first?.durable === true) {
          // As it was settled, which is all that is known of it: others may have written to it since.
          const fencingToken = first.fencingToken as number;
          const entries = standings.map(({ lock, ref }) => ({ lock, ref, revision: fencingToken }));
          return { entries, fencingToken, since: first.sinceMs };
        }
        const since = tickClock(sql, this.#membership.time);
        for (const row of rows) {
          sql.run(
            "UPDATE claims SET durable = 1, revision = ?, since_ms = ?, fencing_token = ?, record = ? WHERE position = ?",
            ...[number, since, number, encodeRecord(record), (row as ClaimRow).position],
          );
        }
        return { entries: standings.map(({ lock, ref }) => ({ lock, ref, revision: number })), fencingToken: number, since };
      },
    );
    if ("missing" in settled) throw this.#lossOf(session, settled.isSessionThere, settled.missing);
    return settled;
  }

  async adopt(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    const session = await this.#membership.session(signal);
    return this.#membership.write(signal, (sql, fencingToken) => {
      const rows = findUnchanged(sql, id, entries);
      if (typeof rows === "string") return rows;
      for (const { position } of rows) {
        sql.run(
          "UPDATE claims SET session = ?, revision = ?, fencing_token = ?, record = ? WHERE position = ?",
          ...[session.id, fencingToken, fencingToken, encodeRecord(record), position],
        );
      }
      return { entries: entries.map(({ lock, ref }) => ({ lock, ref, revision: fencingToken })), fencingToken };
    });
  }

  async update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed"> {
    const { entries, fencingToken } = settled;
    let due: readonly TrimDue[] = [];
    const updated = await this.#membership.write(signal, (sql, revision) => {
      const rows = findUnchanged(sql, id, entries);
      if (typeof rows === "string") return rows;
      for (const { position } of rows) {
        sql.run("UPDATE claims SET revision = ?, record = ? WHERE position = ?", revision, encodeRecord(record), position);
      }
      if (keeping !== undefined) due = this.#history.record(sql, rows, entries, keeping, record);
      return { entries: entries.map(({ lock, ref }) => ({ lock, ref, revision })), fencingToken };
    });
    this.#trim(due);
    return updated;
  }

  /** A session is this process's life: nothing has to be confirmed. */
  confirm(joined: Joined): Promise<void> {
    return joined.session.lost.aborted ? Promise.reject(joined.session.lost.reason as Error) : Promise.resolve();
  }

  async withdraw(entries: readonly EntryRef[]): Promise<void> {
    try {
      const removed = await this.#membership.write(undefined, (sql) => entries.map((entry) => removeEphemeral(sql, entry)));
      if (removed.some((one) => one !== null && this.#membership.isAwaited(one))) this.#membership.announce();
    } catch (error) {
      // Closing, which may be why, ends the claims as well.
      this.#membership.giveUp(`a claim could not be withdrawn: ${messageOf(error)}`);
    }
  }

  async leave(id: string, entries: readonly EntryRef[], ending: Ending, signal?: AbortSignal): Promise<WriteOutcome> {
    const left = await this.#membership.write(signal, (sql) => {
      const rows = findUnchanged(sql, id, entries);
      if (typeof rows === "string") return rows;
      for (const { position } of rows) sql.run("DELETE FROM claims WHERE position = ?", position);
      return { rows, due: this.#history.record(sql, rows, entries, ending, null) };
    });
    if (typeof left === "string") return left;
    if (left.rows.some((row) => this.#membership.isAwaited(row))) this.#membership.announce();
    this.#trim(left.due);
    return "done";
  }

  /** Behind a release, which does not wait for it. */
  #trim(due: readonly TrimDue[]): void {
    const untrimmed = "the history was not trimmed; a later release tries again";
    for (const { lock, what } of due) {
      const trim = (): Promise<void> => this.#database.write(undefined, (sql) => this.#history.trim(sql, lock, what));
      this.#membership.later(`trim ${what} ${lock}`, () => bestEffort(this.#options.log, untrimmed, trim));
    }
  }

  queue(lock: string, signal?: AbortSignal, first = Number.MAX_SAFE_INTEGER): Promise<readonly Claim[]> {
    return this.#membership.look({ locks: [lock] }, signal, (sql) => readQueue(sql, lock, first));
  }

  find(id: string, signal?: AbortSignal): Promise<readonly Claim[]> {
    return this.#membership.look("all", signal, (sql) => findEntries(sql, id));
  }

  list(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#membership.look("all", signal, (sql) =>
      sql
        .all("SELECT DISTINCT lock FROM claims")
        .map((row) => row["lock"] as string)
        .sort(),
    );
  }

  history(lock: string | null, limit: number, signal?: AbortSignal): Promise<readonly HistoryRecord[]> {
    return this.#database.read(signal, (sql) => this.#history.read(sql, lock, limit));
  }

  watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    return this.#feed.watch(onChange, signal);
  }

  async sync(signal?: AbortSignal): Promise<StoreTime> {
    return { ms: await this.#database.read(signal, (sql) => readClock(sql, this.#membership.time)), errorMs: 0 };
  }

  readonly examine = (): Promise<StoreReport> => Promise.resolve(examineFile(this.#database.path));

  close(): Promise<void> {
    this.#feed.close();
    return this.#membership.close();
  }

  #lossOf(session: SqliteSession | null, isSessionThere: boolean, { lock, revision }: EntryRef): HoldlineError {
    if (session === null || !isSessionThere) session?.lose("the session was removed from the database");
    else if (revision > session.began && !session.lost.aborted)
      return new ClaimLostError(`the claim was taken out of the queue of ${lock}`);
    return new SessionLostError(`the session in which the claim on ${lock} was made has ended`);
  }
}
