// A database as those see it who only look: one that may not be written is read where it is, and one that is not there is empty
// and stays so. It has no session, and whatever would write is refused.
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Claim } from "../../locks/claim.js";
import type { Coordinator, CoordinatorOptions, HistoryRecord, StoreReport, StoreTime } from "../../locks/coordinator.js";
import { HoldlineError } from "../../locks/errors.js";
import { historyBoundsOf } from "../../locks/history-bounds.js";
import { findEntries, findOfSessions, readQueue } from "./claims.js";
import { readClock, systemTime } from "./clock.js";
import { connectToView, type Database, type Sql } from "./database.js";
import { examineFile, unusable } from "./file.js";
import { HistoryTable } from "./history.js";
import { readOwnIdentity } from "./process-identity.js";
import { checkSchema, makeTables } from "./schema.js";
import { findGone } from "./sessions.js";
import { TRAITS } from "./traits.js";

/**
 * A view of the database at `path`; `null` where this process may write to it, and can use it as everybody does.
 * @throws UnreachableError when it can be neither
 */
export async function openView(path: string, options: CoordinatorOptions): Promise<Coordinator | null> {
  const isMissing = !isThere(path);
  if (!isMissing && (mayWrite(path) || !mayRead(path))) return null;
  if (isMissing) options.log.warn({ database: path }, `there is no database ${path} yet: is its path right?`);
  // What nobody has open has no log. SQLite would make one before it reads, unless it is told that nothing can change.
  const location = isMissing ? ":memory:" : existsSync(`${path}-wal`) ? path : `${fileUrl(path)}?immutable=1`;
  const database = await connectToView(path, location, options);
  try {
    if (isMissing) await makeTables(database);
    else await checkSchema(database);
  } catch (error) {
    database.close();
    throw error;
  }
  return new View(database, isMissing, options);
}

class View implements Coordinator {
  readonly isShared = false;
  readonly traits = TRAITS;
  readonly #database: Database;
  readonly #isMissing: boolean;
  readonly #self = readOwnIdentity();
  readonly #time = systemTime();
  readonly #history: HistoryTable;

  constructor(database: Database, isMissing: boolean, options: CoordinatorOptions) {
    this.#database = database;
    this.#isMissing = isMissing;
    this.#history = new HistoryTable(historyBoundsOf(options), this.#time);
  }

  queue(lock: string, signal?: AbortSignal, first = Number.MAX_SAFE_INTEGER): Promise<readonly Claim[]> {
    return this.#database.read(signal, (sql) =>
      this.#withoutGone(sql, readQueue(sql, lock, Number.MAX_SAFE_INTEGER)).slice(0, first),
    );
  }

  find(id: string, signal?: AbortSignal): Promise<readonly Claim[]> {
    return this.#database.read(signal, (sql) => this.#withoutGone(sql, findEntries(sql, id)));
  }

  list(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#database.read(signal, (sql) => {
      const names = sql.all("SELECT DISTINCT lock FROM claims").map((row) => row["lock"] as string);
      return names.filter((name) => this.#withoutGone(sql, readQueue(sql, name, Number.MAX_SAFE_INTEGER)).length > 0).sort();
    });
  }

  history(lock: string | null, limit: number, signal?: AbortSignal): Promise<readonly HistoryRecord[]> {
    return this.#database.read(signal, (sql) => this.#history.read(sql, lock, limit));
  }

  async sync(signal?: AbortSignal): Promise<StoreTime> {
    return { ms: await this.#database.read(signal, (sql) => readClock(sql, this.#time)), errorMs: 0 };
  }

  readonly examine = (): Promise<StoreReport> =>
    Promise.resolve(this.#isMissing ? { facts: {}, findings: [] } : examineFile(this.#database.path));

  readonly join = (): Promise<never> => this.#refuse();
  readonly confirm = (): Promise<never> => this.#refuse();
  readonly position = (): Promise<never> => this.#refuse();
  readonly departed = (): Promise<never> => this.#refuse();
  readonly settle = (): Promise<never> => this.#refuse();
  readonly adopt = (): Promise<never> => this.#refuse();
  readonly update = (): Promise<never> => this.#refuse();
  readonly withdraw = (): Promise<never> => this.#refuse();
  readonly leave = (): Promise<never> => this.#refuse();
  /** Of what cannot change before it is opened again, nothing is to be told. */
  readonly watch = (): Promise<never> => this.#refuse();

  close(): Promise<void> {
    this.#database.close();
    return Promise.resolve();
  }

  /** What the claims of processes that are gone would be, had somebody looked who may write. */
  #withoutGone(sql: Sql, claims: readonly Claim[]): readonly Claim[] {
    if (claims.length === 0) return claims;
    const orphans = findOfSessions(sql, findGone(sql, "all", this.#self, this.#database.lives));
    return claims.flatMap((claim) => {
      if (!orphans.has(claim.ref)) return [claim];
      return claim.durable ? [{ ...claim, alive: claim.lease !== null }] : [];
    });
  }

  #refuse(): Promise<never> {
    const { path } = this.#database;
    const error = this.#isMissing
      ? unusable(path, "it is not there", { hint: "what runs or locks something makes it; see whether its path is right" })
      : new HoldlineError("not-allowed", `this user may only read the database ${path}`, {
          hint: "`locks` and `history` can be asked; what changes or watches something takes a user who may write to it and to its directory",
        });
    return Promise.reject(error);
  }
}

/** @throws UnreachableError where that cannot be said */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    // A part of its path that is a file, say, or may not be looked into.
    throw unusable(path, "it cannot be looked at", {
      hint: "check its path, and the permissions of its directories",
      cause: error,
    });
  }
}

function mayRead(path: string): boolean {
  return statSync(path).isFile() && allows(path, constants.R_OK);
}

function mayWrite(path: string): boolean {
  return allows(path, constants.R_OK | constants.W_OK) && allows(dirname(path), constants.W_OK | constants.X_OK);
}

function allows(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** A path as SQLite's URIs have it. */
function fileUrl(path: string): string {
  return `file:${path.split("/").map(encodeURIComponent).join("/")}`;
}
