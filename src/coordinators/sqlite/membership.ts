// A coordinator's part in the database: its session, from the first to the one in the place of a lost one, and the
// transactions in which it looks and writes. The dead are removed before it looks; whoever they hindered is woken.
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import { bestEffort, ClosedError } from "../../locks/errors.js";
import { announceChange, type ChangeWatch, watchChanges } from "./changes.js";
import type { Leaving } from "./claims.js";
import { anchorClock, systemTime } from "./clock.js";
import type { Database, Sql } from "./database.js";
import { readOwnIdentity } from "./process-identity.js";
import { drawNumber, latestNumber } from "./schema.js";
import { endSessions, findGone, knownSessions, replaceSession, type Scope, SqliteSession } from "./sessions.js";

//   (begin) → in session ⇄ without (its session was lost, the next is not there yet) → (close) closed
export class Membership {
  readonly time = systemTime();
  readonly #database: Database;
  readonly #options: CoordinatorOptions;
  readonly #self = readOwnIdentity();
  #session: SqliteSession | null = null;
  #beginning: Promise<SqliteSession> | null = null;
  #closing: Promise<void> | null = null;
  readonly #unfinished = new Map<string, Promise<void>>();
  readonly #watches = new Set<ChangeWatch>();

  constructor(database: Database, options: CoordinatorOptions) {
    this.#database = database;
    this.#options = options;
  }

  async begin(): Promise<void> {
    const { log } = this.#options;
    const { lives } = this.#database;
    const shown = lives.names();
    const there = await this.write(undefined, (sql) => {
      anchorClock(sql, this.time);
      this.removeGone(sql, "all");
      return knownSessions(sql);
    });
    const others = shown.filter((id) => !there.has(id));
    await bestEffort(log, "files of ended sessions stay", () => others.forEach((id) => lives.sweep(id)));
    await this.session();
  }

  /** The latest session, which may have been lost. */
  get latest(): SqliteSession | null {
    return this.#session;
  }

  get isClosed(): boolean {
    return this.#closing !== null;
  }

  /** The session that there is, or a new one in the place of one that was lost. */
  async session(signal?: AbortSignal): Promise<SqliteSession> {
    if (this.#session !== null && !this.#session.lost.aborted) return this.#session;
    this.#beginning ??= this.#beginSession().finally(() => {
      this.#beginning = null;
    });
    const beginning = this.#beginning;
    if (signal === undefined) return beginning;
    // Shared with others, so that it goes on when this one waits no longer.
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort, { once: true });
      beginning.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }

  async #beginSession(): Promise<SqliteSession> {
    const former = this.#session;
    let id: string = randomUUID();
    const { lives } = this.#database;
    let isShown = false;
    await bestEffort(this.#options.log, "other pid namespaces will not see this process end before the next boot", () => {
      lives.begin(id);
      isShown = true;
    });
    // A file that is there and not held would say that the session has ended; without one it counts as alive.
    if (!isShown) id = randomUUID();
    const began = await this.write(undefined, (sql, number) => {
      replaceSession(sql, former?.id ?? null, id, this.#self);
      return number;
    });
    if (former !== null) this.#database.lives.end(former.id);
    if (former !== null) this.announce();
    this.#session = new SqliteSession(id, began);
    return this.#session;
  }

  /** What the session has left in the queues cannot be removed now: it counts as lost, and its claims go as soon as they can. */
  giveUp(reason: string): void {
    if (this.isClosed) return;
    this.#session?.lose(reason);
    this.#options.log.warn({ database: this.#database.path }, reason);
    void this.#renew();
  }

  async #renew(): Promise<void> {
    while (!this.isClosed && this.#session?.lost.aborted === true) {
      await this.session().catch(() => pause(this.#options.sleepTimeMs, undefined, { ref: false }));
    }
  }

  /** A look at the claims in `scope`, after those of processes that are gone have been removed. */
  async look<T>(scope: Scope, signal: AbortSignal | undefined, work: (sql: Sql) => T): Promise<T> {
    this.#refuseIfClosed();
    const seen = await this.#database.read(signal, (sql) => {
      if (findGone(sql, scope, this.#self, this.#database.lives).length > 0) return null;
      return { result: work(sql), number: latestNumber(sql) };
    });
    if (seen !== null) {
      this.#session?.see(seen.number);
      return seen.result;
    }
    const result = await this.write(signal, (sql) => {
      this.removeGone(sql, scope);
      return work(sql);
    });
    this.announce();
    return result;
  }

  /** A transaction that writes. It has a number of its own, above those of all that were committed before it. */
  async write<T>(signal: AbortSignal | undefined, work: (sql: Sql, number: number) => T): Promise<T> {
    this.#refuseIfClosed();
    const { result, number } = await this.#database.write(signal, (sql) => {
      const drawn = drawNumber(sql);
      return { result: work(sql, drawn), number: drawn };
    });
    this.#session?.see(number);
    return result;
  }

  /** Removes the sessions within `scope` whose processes are gone. */
  removeGone(sql: Sql, scope: Scope): void {
    endSessions(sql, findGone(sql, scope, this.#self, this.#database.lives));
  }

  /** Somebody has left a queue: those behind may go on. */
  announce(): void {
    announceChange(this.#database.path, this.#options.log);
  }

  watch(): ChangeWatch {
    const watch = watchChanges(this.#database.path, this.#options.log);
    this.#watches.add(watch);
    return watch;
  }

  unwatch(watch: ChangeWatch): void {
    this.#watches.delete(watch);
    watch.close();
  }

  /**
   * Is anybody to be told that an entry has been taken out? Those who stand behind it wait for that; so does its owner, who
   * may be this very coordinator. Telling costs half as much as a whole transaction, because the disk hears of it too.
   */
  isAwaited({ session, hasFollowers }: Leaving): boolean {
    return hasFollowers || session !== this.#session?.id || this.#watches.size > 0;
  }

  /** Does something that nobody waits for but the close, in a turn of its own; once, when it is asked for again before that. */
  later(what: string, work: () => Promise<void>): void {
    if (this.#unfinished.has(what)) return;
    const done = new Promise<void>((resolve) => setImmediate(resolve)).then(work).finally(() => this.#unfinished.delete(what));
    this.#unfinished.set(what, done);
  }

  /** Ends the session. Never rejects; a second call does nothing. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    const { log } = this.#options;
    const session = this.#session;
    session?.lose("the coordinator was closed");
    await bestEffort(log, "its claims end with the process", async () => {
      if (session !== null)
        await this.#database.write(undefined, (sql) => {
          // Whoever comes next has seen more than those who have gone.
          drawNumber(sql);
          endSessions(sql, [session.id]);
        });
      this.announce();
    });
    // Also where the database did not take it: the process has no more to do with it.
    if (session !== null) await bestEffort(log, "it ends with the process", () => this.#database.lives.end(session.id));
    await Promise.all(this.#unfinished.values());
    await bestEffort(log, "the system closes it with the process", () => this.#database.close());
  }

  #refuseIfClosed(): void {
    if (this.isClosed) throw new ClosedError("the coordinator has been closed");
  }
}
