// The contents as this process knows them: the latest snapshot with the log's entries behind it. It goes forward only, reads what is new,
// and tells of it; it writes nothing.
import type { StoreChange } from "../../queue/store.js";
import { type Contents, emptyContents } from "../../queue/model/contents.js";
import { Log, type Logged } from "./log.js";
import { type Applied, applyEntry } from "./machine.js";
import type { Manifest, Snapshots } from "./snapshots.js";
import type { Table } from "./table.js";

/** Told of each change, in order; `null`: of something, and what it was is not known. */
export type Listener = (change: StoreChange) => void;

/** What an own entry has done; `null`: it has not been seen in the log; `unseen`: it may be in a snapshot, where single entries are not seen. */
export type Fate = Applied | "unseen" | null;

//   empty → (the first look) loaded, from a snapshot → … → loaded, from a later one, where the log has gone on too far
export class Replica {
  readonly #table: Table;
  readonly #snapshots: Snapshots;
  readonly #listeners = new Set<Listener>();
  /** Own entries that are on their way. */
  readonly #sent = new Map<string, Fate>();
  contents: Contents = emptyContents();
  /** The stamp of the latest entry. */
  at = 0;
  /** The latest manifest that is known; `null` before the first look, and where nobody has used the place yet. */
  manifest: Manifest | null = null;
  log: Log | null = null;
  #look: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(table: Table, snapshots: Snapshots) {
    this.#table = table;
    this.#snapshots = snapshots;
  }

  /** Has everything that was committed before the call. All who ask while one look is under way share the next. */
  catchUp(): Promise<void> {
    if (this.#look === null) return this.#begin();
    this.#next ??= this.#look
      .catch(() => undefined) // Told to those who asked for that one.
      .then(() => {
        this.#next = null;
        return this.#begin();
      });
    return this.#next;
  }

  /** Notes an own entry before it is sent, so that it is known again. Afterwards it is to be taken off by {@link forget}. */
  expect(id: string): void {
    this.#sent.set(id, null);
  }

  /** What an own entry has done, where it has been read from the log or was applied. */
  fateOf(id: string): Fate {
    return this.#sent.get(id) ?? null;
  }

  forget(id: string): void {
    this.#sent.delete(id);
  }

  /** Applies an entry that has landed, unless it has been read from the log meanwhile. */
  landed(logged: Logged): void {
    if (logged.n === this.contents.revision + 1) this.#apply(logged);
  }

  /** Tells `listener` of every change from now on; gives what ends that. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #begin(): Promise<void> {
    const look = this.#advance().finally(() => {
      if (this.#look === look) this.#look = null;
    });
    this.#look = look;
    return look;
  }

  async #advance(): Promise<void> {
    let isBehind = false;
    for (;;) {
      if (this.log === null || isBehind) {
        if (!(await this.#load())) return;
        isBehind = true;
      }
      const followers = await this.log?.after(this.contents.revision, isBehind);
      if (followers === undefined) return;
      if (followers !== "lapped") {
        // An own entry may have been applied meanwhile.
        for (const logged of followers) this.landed(logged);
        return;
      }
      isBehind = true;
    }
  }

  /** Begins with the latest snapshot; gives whether there is any. */
  async #load(): Promise<boolean> {
    const snapshot = await this.#snapshots.read();
    if (snapshot === null) return false;
    const { manifest, contents } = snapshot;
    this.manifest = manifest;
    this.log ??= new Log(this.#table, manifest.slots);
    // The log goes on while this is read, and own entries with it.
    if (contents.revision <= this.contents.revision) return true;
    this.contents = contents;
    this.at = manifest.at;
    for (const [id, fate] of this.#sent) this.#sent.set(id, fate ?? "unseen");
    this.#tell([null]);
    return true;
  }

  #apply({ id, at, entry }: Logged): void {
    const applied = applyEntry(this.contents, entry, at);
    this.at = at;
    if (this.#sent.has(id)) this.#sent.set(id, applied);
    this.#tell(applied.changes);
  }

  #tell(changes: readonly StoreChange[]): void {
    for (const change of changes) for (const listener of [...this.#listeners]) listener(change);
  }
}
