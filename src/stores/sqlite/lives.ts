// Which sessions live, also where no process can be looked at: in another pid namespace. Each session has a file of its own
// beside the database, which its process keeps locked; the system drops that lock with the process, whatever namespace it was in.
// The lock is SQLite's own, a transaction that is never ended, because node knows no other.
import type Libsql from "libsql";
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { isClaimId } from "../../locks/ids.js";
import { isBusy } from "./driver.js";
import { unusable } from "./file.js";

type Driver = new (path: string, options: { readonly timeout: number }) => Libsql.Database;

// Nothing is ever written to it, so that there is nothing to keep a journal for.
const HOLD = "PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE";

export class Lives {
  readonly #database: string;
  /** Where the files are. */
  readonly folder: string;
  readonly #Driver: Driver;
  readonly #held = new Map<string, Libsql.Database>();

  constructor(database: string, Driver: Driver) {
    this.#database = database;
    this.folder = `${database}-sessions`;
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
      mkdirSync(this.folder, { recursive: true, mode: statSync(dirname(this.#database)).mode & 0o777 });
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
    return !this.#held.has(id) && this.#lookAt(id) === "free";
  }

  /** Is the session certainly alive in some process, this one or another? */
  isHeld(id: string): boolean {
    return this.#held.has(id) || this.#lookAt(id) === "held";
  }

  /**
   * The sessions that have a file.
   * @throws UnreachableError where the folder is a link or no folder: files elsewhere would be taken for sessions' and removed
   */
  names(): readonly string[] {
    const stat = lstatSync(this.folder, { throwIfNoEntry: false });
    if (stat === undefined) return []; // nobody has been here yet
    if (!stat.isDirectory()) {
      throw unusable(this.#database, `${this.folder} is no directory`, {
        hint: "holdline keeps the files of its sessions there: see who has put it there, and move it away",
      });
    }
    // Whatever else somebody keeps there is theirs.
    return readdirSync(this.folder).filter(isClaimId); // sessions have ids of the same kind
  }

  /** Removes what a session has left that is no more in the database. */
  sweep(id: string): void {
    // One that has just begun is in the database a moment later, and is held by now.
    if (this.hasEnded(id)) rmSync(this.#pathOf(id), { force: true });
  }

  #lookAt(id: string): "held" | "free" | "unknown" {
    const path = this.#pathOf(id);
    // Neither a link nor a forged id may lead to somebody else's file.
    if (!isClaimId(id) || lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return "unknown";
    let file: Libsql.Database | null = null;
    try {
      file = new this.#Driver(path, { timeout: 0 });
      file.exec(HOLD);
      file.exec("ROLLBACK");
      return "free";
    } catch (error) {
      // One that may not be opened, as another user's, says nothing.
      return isBusy(error) ? "held" : "unknown";
    } finally {
      file?.close();
    }
  }

  #pathOf(id: string): string {
    return join(this.folder, id);
  }

  #make(path: string): void {
    closeSync(openSync(path, "wx", statSync(this.#database).mode & 0o666));
  }
}
