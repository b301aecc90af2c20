// One connection to a database file: its settings, its transactions, and what SQLite's errors mean. What the tables
// hold is not its business.
import type Libsql from "libsql";
import { setTimeout as pause } from "node:timers/promises";
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import { ClosedError, HoldlineError, messageOf, type UnreachableError } from "../../locks/errors.js";
import { isBusy, loadDriver, resultCode } from "./driver.js";
import { Lives } from "./lives.js";
import { checkFile, type FileIdentity, prepareFile, unusable } from "./file.js";

export type SqlValue = string | number | null;
export type Row = Readonly<Record<string, SqlValue>>;

/** A text column as bytes, in hexadecimal: the client ends the whole process at a text that is not UTF-8. */
export const asHex = (column: string): string => `hex(${column}) AS ${column}`;

/** The text behind {@link asHex}. */
export function textOf(hex: SqlValue | undefined): string {
  return Buffer.from(String(hex), "hex").toString();
}

/** What can be asked inside a transaction. */
export interface Sql {
  /** The first row, and nothing of what comes after it: half the time of {@link all}. */
  one(statement: string, ...values: readonly SqlValue[]): Row | null;
  all(statement: string, ...values: readonly SqlValue[]): readonly Row[];
  /** Gives the key of the row that was inserted last. */
  run(statement: string, ...values: readonly SqlValue[]): number;
  /** Statements without values, such as a schema. */
  script(statements: string): void;
}

// SQLite waits inside a call, in which nothing else of this process can run: long enough for a usual transaction of
// another process to pass, short enough not to be felt. What is left of the wait is spent outside, where it can be aborted.
const BUSY_INSIDE_MS = 10;
const LONGEST_PAUSE_MS = 25;

/**
 * Opens or makes the database.
 * @throws UnreachableError when the file cannot be used, with its path, what is wrong and what to do
 */
export async function connect(path: string, options: CoordinatorOptions): Promise<Database> {
  const identity = prepareFile(path);
  const Driver = await loadDriver();
  try {
    const handle = new Driver(path, { timeout: BUSY_INSIDE_MS });
    return new Database(path, identity, handle, options.connectTimeoutMs, new Lives(path, Driver));
  } catch (error) {
    throw explain(path, error);
  }
}

/**
 * Opens a database of which only reading is asked.
 * @param path what it is called to people
 * @param location what SQLite is to open
 */
export async function connectToView(path: string, location: string, options: CoordinatorOptions): Promise<Database> {
  const Driver = await loadDriver();
  try {
    const handle = new Driver(location, { timeout: BUSY_INSIDE_MS });
    return new Database(path, null, handle, options.connectTimeoutMs, new Lives(path, Driver));
  } catch (error) {
    throw explain(path, error);
  }
}

//   open → closed
export class Database {
  readonly path: string;
  /** `null`: what becomes of its file while it is open is of no consequence. */
  readonly #identity: FileIdentity | null;
  readonly #handle: Libsql.Database;
  readonly #patienceMs: number;
  readonly #statements = new Map<string, Libsql.Statement>();
  readonly #sql: Sql;
  #closed = false;

  constructor(
    path: string,
    identity: FileIdentity | null,
    handle: Libsql.Database,
    patienceMs: number,
    readonly lives: Lives,
  ) {
    this.path = path;
    this.#identity = identity;
    this.#handle = handle;
    this.#patienceMs = patienceMs;
    this.#sql = {
      one: (statement, ...values) => (this.#prepared(statement).get(values) as Row | undefined) ?? null,
      all: (statement, ...values) => this.#prepared(statement).all(values) as Row[],
      run: (statement, ...values) => Number(this.#prepared(statement).run(values).lastInsertRowid),
      script: (statements) => void handle.exec(statements),
    };
  }

  /** Settings that hold for a connection or a whole file, and that SQLite does not take inside a transaction. */
  configure(settings: readonly string[], signal?: AbortSignal): Promise<void> {
    return this.#patiently(signal, () => {
      for (const setting of settings) this.#handle.prepare(`PRAGMA ${setting}`).all();
    });
  }

  /** A transaction that only reads, and sees one moment of the database. */
  read<T>(signal: AbortSignal | undefined, work: (sql: Sql) => T): Promise<T> {
    return this.#patiently(signal, () => this.#transact("BEGIN", work));
  }

  /**
   * A transaction that writes: all of it happens, or nothing. `work` runs again when the database was busy, and must
   * change nothing else.
   */
  write<T>(signal: AbortSignal | undefined, work: (sql: Sql) => T): Promise<T> {
    return this.#patiently(signal, () => this.#transact("BEGIN IMMEDIATE", work));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    this.#handle.close();
  }

  async #patiently<T>(signal: AbortSignal | undefined, attempt: () => T): Promise<T> {
    const started = performance.now();
    for (;;) {
      signal?.throwIfAborted();
      if (this.#closed) throw new ClosedError(`the database ${this.path} has been closed`);
      if (this.#identity !== null) checkFile(this.path, this.#identity);
      try {
        return attempt();
      } catch (error) {
        if (!isBusy(error)) throw explain(this.path, error);
        const waitedMs = performance.now() - started;
        if (waitedMs > this.#patienceMs) throw tooBusy(this.path, waitedMs, error);
      }
      // At random, so that those who wait do not keep meeting each other.
      await pause(1 + Math.random() * LONGEST_PAUSE_MS, undefined, { ...(signal && { signal }) }).catch(() =>
        signal?.throwIfAborted(),
      );
    }
  }

  #transact<T>(begin: string, work: (sql: Sql) => T): T {
    this.#handle.exec(begin);
    try {
      const result = work(this.#sql);
      this.#handle.exec("COMMIT");
      return result;
    } catch (error) {
      // After some errors, such as a full disk, SQLite has rolled back by itself.
      if (this.#handle.inTransaction) this.#handle.exec("ROLLBACK");
      throw error;
    }
  }

  #prepared(statement: string): Libsql.Statement {
    let prepared = this.#statements.get(statement);
    if (prepared === undefined) {
      prepared = this.#handle.prepare(statement);
      this.#statements.set(statement, prepared);
    }
    return prepared;
  }
}

function tooBusy(path: string, waitedMs: number, cause: unknown): UnreachableError {
  return unusable(path, `another process has kept it locked for ${Math.round(waitedMs)} ms`, {
    hint: "see who has it open, for example with fuser, and whether that process hangs",
    cause,
  });
}

const CORRUPT_HINT =
  "stop holdline on this machine, see that no guarded action still runs, then move the file away (with its -wal and -shm) or restore it";

// What people can do about SQLite's errors: primary result code → what is wrong, and a hint.
const PROBLEMS = new Map<number, readonly [problem: string, hint: string]>([
  [3, ["permission denied", "check who owns it and its permissions"]],
  [8, ["it is read-only", "make the file, its -wal and -shm, and their directory writable for this user"]],
  [10, ["the disk reports an error", "check the disk and the system's log"]],
  [11, ["it is corrupt", CORRUPT_HINT]],
  [13, ["the disk is full", "make room on the disk"]],
  [14, ["it cannot be opened", "check who owns the file and its directory, and their permissions"]],
  [26, ["it is not a database", "name another file in the coordinator's URL, or move this one away"]],
]);

/** A SQLite error in our words; what is already an error of ours stays as it is. */
export function explain(path: string, error: unknown): Error {
  if (error instanceof HoldlineError) return error;
  const code = resultCode(error);
  if (code === null && !/^ConnectionFailed/.test(messageOf(error)))
    return error instanceof Error ? error : new Error(String(error));
  const [problem, hint] = PROBLEMS.get(code ?? 14) ?? [null, "the message is SQLite's own"];
  return unusable(path, problem === null ? messageOf(error) : `${problem} (${messageOf(error)})`, { hint, cause: error });
}

/** For a file whose contents are damaged although SQLite can read them. */
export function corrupt(path: string, finding: string): UnreachableError {
  return unusable(path, `it is corrupt (${finding})`, { hint: CORRUPT_HINT });
}
