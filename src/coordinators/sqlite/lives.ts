// Which sessions live, also where no process can be looked at: in another pid namespace. Each session has a file of its own
// beside the database, which its process keeps locked; the system drops that lock with the process, whatever namespace it was in.
// The lock is SQLite's own, a transaction that is never ended, because node knows no other.
import type Libsql from "libsql";
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

type Driver = new (path: string, options: { readonly timeout: number }) => Libsql.Database;

// Nothing is ever written to it, so that there is nothing to keep a journal for.
const HOLD = "PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE";

export class Lives {
  readonly #database: string;
  readonly #folder: string;
  readonly #Driver: Driver;
  readonly #held = new Map<string, Libsql.Database>();

  constructor(database: string, Driver: Driver) {
    this.#database = database;
    this.#folder = `${database}-sessions`;
    this.#Driver = Driver;
  }

  /** Shows that a session lives, from now until it ends or its process does. Called before others can see the session. */
  begin(id: string): void {
    const path = this.#pathOf(id);
    try {
      this.#make(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      // As open as the database's folder is, and the files as the database: others may be meant to use it.
      mkdirSync(this.#folder, { recursive: true, mode: statSync(dirname(this.#database)).mode & 0o777 });
      this.#make(path);
    }
    const file = new this.#Driver(path, { timeout: 0 });
    file.exec(HOLD);
    this.#held.set(id, file);
  }

  end(id: string): void {
    const file = this.#held.get(id);
    if (file === undefined) return;
    this.#held.delete(id);
    rmSync(this.#pathOf(id), { force: true });
    file.close();
  }

  /** Is the session's process certainly gone? A session without a file says nothing: an earlier version has made it. */
  hasEnded(id: string): boolean {
    const path = this.#pathOf(id);
    if (this.#held.has(id) || statSync(path, { throwIfNoEntry: false }) === undefined) return false;
    let file: Libsql.Database | null = null;
    try {
      file = new this.#Driver(path, { timeout: 0 });
      file.exec(HOLD);
      file.exec("ROLLBACK");
      return true;
    } catch {
      // Mostly it is held. One that may not be opened, as another user's, says nothing either.
      return false;
    } finally {
      file?.close();
    }
  }

  /** Removes what sessions have left that are no more. @param isThere is the session still in the database? */
  sweep(isThere: (id: string) => boolean): void {
    let names: readonly string[];
    try {
      names = readdirSync(this.#folder);
    } catch {
      return; // nobody has been here yet
    }
    // One that has just begun is in the database a moment later, and is held by now.
    for (const id of names) if (!isThere(id) && this.hasEnded(id)) rmSync(this.#pathOf(id), { force: true });
  }

  #pathOf(id: string): string {
    return join(this.#folder, id);
  }

  #make(path: string): void {
    closeSync(openSync(path, "wx", statSync(this.#database).mode & 0o666));
  }
}
