// MariaDB or MySQL under the queue engine: what it is asked, as texts of SQL. A session is a row that ends by the server's clock unless it is
// renewed. commit.ts has the commits, rows.ts the entries, feed.ts the watches.
import { randomUUID } from "node:crypto";
import type { StoreTime } from "../../locks/coordinator.js";
import { HoldlineError } from "../../locks/errors.js";
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
import type { Examined } from "../../locks/store-report.js";
import type { ServerFacts } from "./client.js";
import { commitText } from "./commit.js";
import { ServerError } from "./errors.js";
import { examineServer } from "./examination.js";
import { Feeds, KEPT_CHANGES } from "./feed.js";
import { fitting, refuseLongNames, traitsOf } from "./limits.js";
import type { Link, LinkOptions } from "./link.js";
import { entryOf, lapsedIn, placeIn, placeOf, selectEntries, selectPlaces } from "./rows.js";
import type { Root } from "./schema.js";
import { bytes, NOW, number, numberIn, type Row, type Tables, textIn } from "./sql.js";
import type { MysqlAddress } from "./url.js";

/** What a store is made of once a server has been reached. */
export interface MysqlParts {
  readonly link: Link;
  readonly address: MysqlAddress;
  readonly tables: Tables;
  readonly facts: ServerFacts;
  readonly root: Root;
}

export class MysqlStore implements QueueStore {
  readonly name: string;
  readonly isShared = true;
  readonly traits: StoreTraits;
  readonly #parts: MysqlParts;
  readonly #link: Link;
  readonly #tables: Tables;
  readonly #feeds: Feeds;
  #latest: number;

  constructor(parts: MysqlParts, options: LinkOptions & { readonly sleepTimeMs: number }) {
    this.name = `mysql:${parts.root.id}`;
    this.traits = traitsOf(parts.facts);
    this.#parts = parts;
    this.#link = parts.link;
    this.#tables = parts.tables;
    this.#feeds = new Feeds(parts.link, parts.tables, options);
    this.#latest = parts.root.revision;
  }

  /** The greatest revision that this process has committed or found. */
  get latest(): number {
    return this.#latest;
  }

  async commit(steps: readonly Step[]): Promise<Committed> {
    refuseLongNames(steps);
    const commit = commitText(this.#tables, steps);
    let results: readonly (readonly Row[])[];
    try {
      results = await this.#link.ask((client) => fitting(commit.text, client.facts, client.server));
    } catch (error) {
      const step = steps.findIndex(isBookkeeping);
      const isFull = error instanceof HoldlineError && error.cause instanceof ServerError && error.cause.isFull;
      if (isFull && step >= 0) return { isDone: false, step, why: "no-room" };
      throw error;
    }
    const { committed, ahead } = commit.read(results);
    if (!committed.isDone) return committed;
    this.#latest = Math.max(this.#latest, committed.revision);
    this.#feeds.tell(steps.flatMap(changesOf));
    if (ahead.every((rows) => lapsedIn(rows).length === 0)) return committed;
    // Rarely: somebody ahead has just not renewed its session. That is written down before it is said.
    const appended = committed.appended.map(async ({ ref }, index) => {
      const { lock } = steps.filter((step) => step.do === "append")[index] as Extract<Step, { do: "append" }>;
      return { ref, ahead: (await this.line(lock)).places.filter((place) => Number(place.ref) < Number(ref)) };
    });
    return { ...committed, appended: await Promise.all(appended) };
  }

  async line(lock: string, refs?: readonly string[]): Promise<Line> {
    const condition = refs === undefined ? "" : ` AND e.place IN (${[-1, ...refs.map(placeIn)].join(", ")})`;
    const [rows = [], [[revision] = []] = []] = await this.#readEntries(
      // The revision is read last: nothing that is committed later shows among the places.
      `${selectPlaces(this.#tables, lock, condition)}; SELECT revision FROM ${this.#tables.root}`,
    );
    return { places: rows.map(placeOf), revision: numberIn(revision) };
  }

  async read(lock: string, first?: number): Promise<readonly StoredEntry[]> {
    const limit = first === undefined || !Number.isFinite(first) ? "" : ` LIMIT ${number(first)}`;
    const rest = `WHERE e.queue = ${bytes(lock)} ORDER BY e.place${limit}`;
    const [rows = []] = await this.#readEntries(selectEntries(this.#tables, rest));
    return rows.map(entryOf);
  }

  async readClaim(claim: string): Promise<readonly StoredEntry[]> {
    const [rows = []] = await this.#readEntries(selectEntries(this.#tables, `WHERE e.claim = ${bytes(claim)}`));
    return rows.map(entryOf).sort((one, other) => (one.lock < other.lock ? -1 : 1));
  }

  async locks(): Promise<readonly string[]> {
    const [rows = []] = await this.#link.ask(`SELECT DISTINCT queue FROM ${this.#tables.entries}`);
    return rows.map(([queue]) => textIn(queue)).sort();
  }

  async endedSessions(): Promise<readonly string[]> {
    const { sessions } = this.#tables;
    for (;;) {
      const [rows = []] = await this.#link.ask(`SELECT id, ended FROM ${sessions} WHERE ended = 1 OR expires <= ${NOW}`);
      const lapsed = rows.flatMap(([id, ended]) => (numberIn(ended) === 0 ? [textIn(id)] : []));
      if (lapsed.length === 0 || !(await this.#writeDown(lapsed))) return rows.map(([id]) => textIn(id));
    }
  }

  async archived({ lock, limit, before, among }: ArchiveQuery): Promise<readonly Archived[]> {
    const { archive } = this.#tables;
    const conditions = [
      `place > COALESCE((SELECT place FROM ${archive} ORDER BY place DESC LIMIT 1 OFFSET ${number(among)}), -1)`,
      ...(lock === null ? [] : [`queue = ${bytes(lock)}`]),
      ...(before === null ? [] : [`place < ${number(before)}`]),
    ];
    const [rows = []] = await this.#link.ask(
      `SELECT place, queue, ended, content FROM ${archive} WHERE ${conditions.join(" AND ")} ORDER BY place DESC LIMIT ${number(limit)}`,
    );
    return rows.map(([place, queue, ended, content]) => ({
      lock: textIn(queue),
      sequence: numberIn(place),
      endedAt: numberIn(ended),
      record: textIn(content),
    }));
  }

  async trim(lock: string | null, keep: number, oldest: number): Promise<void> {
    const { archive } = this.#tables;
    const ofLock = lock === null ? "" : ` AND queue = ${bytes(lock)}`;
    const surplus = `SELECT place FROM ${archive} WHERE 1 = 1${ofLock} ORDER BY place DESC LIMIT 1 OFFSET ${number(keep)}`;
    const aged = Number.isFinite(oldest) ? ` OR ended < ${number(Math.ceil(oldest))}` : "";
    // The surplus is found first: a statement cannot both read a table and delete from it.
    await this.#link.ask(
      `SELECT COALESCE((${surplus}), -1) INTO @surplus; DELETE FROM ${archive} WHERE (place <= @surplus${aged})${ofLock}`,
    );
  }

  async document(name: string): Promise<StoredDocument | null> {
    const [found] = await this.#documentsWhere(`name = ${bytes(name)}`);
    return found ?? null;
  }

  documents(prefix: string): Promise<readonly StoredDocument[]> {
    const length = Buffer.byteLength(prefix);
    return this.#documentsWhere(`name >= ${bytes(prefix)} AND LEFT(name, ${length}) = ${bytes(prefix)}`);
  }

  async openSession(timeoutMs: number): Promise<string> {
    const id = randomUUID();
    const { sessions } = this.#tables;
    await this.#link.ask(
      `INSERT INTO ${sessions} SELECT ${bytes(id)}, 0, ${number(timeoutMs)}, ${NOW} + ${number(timeoutMs)}, 0 FROM DUAL${this.#trimmingChanges()}`,
    );
    return id;
  }

  async renew({ id, epoch }: SessionRef): Promise<boolean> {
    const { sessions } = this.#tables;
    const alive = `id = ${bytes(id)} AND ended = 0 AND expires > ${NOW}`;
    // Whether it has been renewed is read and not counted: twice in one millisecond changes nothing.
    const [[[found] = []] = []] = await this.#link.ask(
      `UPDATE ${sessions} SET epoch = GREATEST(epoch, ${number(epoch)}), expires = ${NOW} + timeout WHERE ${alive}; SELECT COUNT(*) FROM ${sessions} WHERE ${alive} AND epoch >= ${number(epoch)}${this.#trimmingChanges()}`,
    );
    return numberIn(found) === 1;
  }

  watch(lock: string | null, onChange: (change: StoreChange) => void): Promise<StoreFeed> {
    return this.#feeds.open(lock, onChange);
  }

  async sync(): Promise<StoreTime> {
    const [[[now] = []] = []] = await this.#link.ask(`SELECT ${NOW}`);
    return { ms: numberIn(now), errorMs: this.traits.clockErrorMs };
  }

  reconnect(why: string): void {
    this.#link.drop(why);
  }

  close(): Promise<void> {
    this.#feeds.close();
    this.#link.close();
    return Promise.resolve();
  }

  examine(): Promise<Examined> {
    return examineServer(this.#parts);
  }

  /** Reads entries or places as the first result. None is called ended that might be seen to live again. */
  async #readEntries(text: string): Promise<readonly (readonly Row[])[]> {
    for (;;) {
      const results = await this.#link.ask(text);
      const lapsed = lapsedIn(results[0] ?? []);
      if (lapsed.length === 0 || !(await this.#writeDown(lapsed))) return results;
    }
  }

  /**
   * Writes down that sessions have ended by their time: from then on nothing brings them back, not even a clock that is set back.
   * @returns whether this user may
   */
  async #writeDown(sessions: readonly string[]): Promise<boolean> {
    const named = sessions.map(bytes).join(", ");
    try {
      await this.#link.ask(
        `UPDATE ${this.#tables.sessions} SET ended = 1 WHERE id IN (${named}) AND ended = 0 AND expires <= ${NOW}`,
      );
      return true;
    } catch (error) {
      // Whoever may only look is told what the clock says.
      if (error instanceof HoldlineError && error.code === "not-allowed") return false;
      throw error;
    }
  }

  async #documentsWhere(condition: string): Promise<readonly StoredDocument[]> {
    const [rows = []] = await this.#link.ask(`SELECT name, content, revision FROM ${this.#tables.documents} WHERE ${condition}`);
    const found = rows.map(([name, content, revision]) => ({
      name: textIn(name),
      value: textIn(content),
      revision: numberIn(revision),
    }));
    return found.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** A statement behind another: forgets changes that everybody has been told of. */
  #trimmingChanges(): string {
    const old = this.#latest - 2 * KEPT_CHANGES;
    return old <= 0 ? "" : `; DELETE FROM ${this.#tables.changes} WHERE revision <= ${number(old)} LIMIT 1000`;
  }
}

/** What a full server refuses, although everything else could be done. */
function isBookkeeping(step: Step): boolean {
  return step.do === "archive" || (step.do === "document" && step.value !== null);
}

function changesOf(step: Step): readonly StoreChange[] {
  if (step.do === "end") return [null];
  if (step.do === "document") return [{ document: step.name }];
  return "lock" in step ? [{ lock: step.lock }] : [];
}
