// A database as those see it who only look: one that may not be written is read where it is, and one that is not there is empty
// and stays so. Whatever would write is refused.
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import type { Examined } from "../../locks/store-report.js";
import { HoldlineError } from "../../locks/errors.js";
import type { QueueStore } from "../../queue/store.js";
import { connectToView, type Database } from "./database.js";
import { unusable } from "./file.js";
import { checkSchema, makeTables } from "./schema.js";
import { SqliteStore } from "./store.js";

/**
 * A view of the database at `path`; `null` where this process may write to it, and can use it as everybody does.
 * @throws UnreachableError when it can be neither
 */
export async function openView(path: string, options: CoordinatorOptions): Promise<QueueStore | null> {
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

class View extends SqliteStore {
  readonly #path: string;
  readonly #isMissing: boolean;

  constructor(database: Database, isMissing: boolean, options: CoordinatorOptions) {
    super(database, options);
    this.#path = database.path;
    this.#isMissing = isMissing;
  }

  override readonly commit = (): Promise<never> => this.#refuse();
  override readonly openSession = (): Promise<never> => this.#refuse();
  override readonly trim = (): Promise<never> => this.#refuse();
  /** Of what cannot change before it is opened again, there is nothing to tell. */
  override readonly watch = (): Promise<never> => this.#refuse();

  override async examine(signal?: AbortSignal): Promise<Examined> {
    if (this.#isMissing) return { kind: "sqlite", version: null, servers: [], facts: { path: this.#path }, findings: [] };
    const examined = await super.examine(signal);
    const message = `this user may only read the database ${this.#path}`;
    const hint = "make it, its -wal and -shm, and their directory writable for this user";
    return { ...examined, findings: [...examined.findings, { severity: "error", code: "not-allowed", message, hint }] };
  }

  #refuse(): Promise<never> {
    const error = this.#isMissing
      ? unusable(this.#path, "it is not there", { hint: "what runs or locks something makes it; see whether its path is right" })
      : new HoldlineError("not-allowed", `this user may only read the database ${this.#path}`, {
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
