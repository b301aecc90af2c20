// The in-memory store as the simulation has it: it knows who does what, tells the checks what each commit means, and shows entries as
// the checks look at them. What must be true of all that is checks.ts's.
import type { ClaimRecord } from "../../src/locks/claim.js";
import { decodeRecord } from "../../src/locks/claim.js";
import { FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import type { Ending, HistoryRecord } from "../../src/locks/history.js";
import { decodeEnding, encodeEnding } from "../../src/queue/records.js";
import type { Committed, Step, StoredDocument } from "../../src/queue/store.js";
import type { Contents, Entry } from "../../src/queue/model/contents.js";
import { MemoryServer, type MemoryServerOptions } from "../../src/stores/memory/server.js";

/** An entry as the checks look at it: always as it is in the store now. */
export class SeenEntry {
  readonly #entry: Entry;
  #record: { readonly text: string; readonly decoded: ClaimRecord | null } | null = null;

  constructor(entry: Entry) {
    this.#entry = entry;
  }

  get lock(): string {
    return this.#entry.lock;
  }

  get ref(): string {
    return this.#entry.ref;
  }

  get id(): string {
    return this.#entry.claim;
  }

  get key(): string | null {
    return this.#entry.key;
  }

  get slots(): number {
    return this.#entry.slots;
  }

  /** The session with which it ends; `null` for a durable one. */
  get session(): string | null {
    return this.#entry.durable ? null : this.#entry.session;
  }

  /** The session by which others see that its process lives. */
  get livesBy(): string | null {
    return this.#entry.session;
  }

  get revision(): number {
    return this.#entry.revision;
  }

  get fencingToken(): number | null {
    return this.#entry.token;
  }

  /** `null` for what is not readable. */
  get record(): ClaimRecord | null {
    const { record: text } = this.#entry;
    if (this.#record?.text !== text) this.#record = { text, decoded: decodeRecord(text) };
    return this.#record.decoded;
  }

  /** The same, but as it is now for good. */
  copy(): SeenEntry {
    return new SeenEntry({ ...this.#entry });
  }

  /** For the record of its end. */
  stored(): Entry {
    return this.#entry;
  }
}

/** What a commit means to the checks. */
export interface StoreObserver {
  joined(entries: readonly SeenEntry[], by: string): void;
  settled(entries: readonly SeenEntry[], by: string): void;
  adopted(entries: readonly SeenEntry[], before: readonly SeenEntry[], by: string): void;
  updated(entries: readonly SeenEntry[], before: readonly SeenEntry[], by: string): void;
  /**
   * @param ending `null` for what was withdrawn, or has gone with its session
   * @param isRecorded whether the history tells of it
   */
  left(entries: readonly SeenEntry[], ending: Ending | null, isRecorded: boolean, by: string): void;
  /** The document of the store's freezes is another one now, or there is none (`null`). */
  frozen(value: string | null, by: string): void;
  /** By this session others see now that the process of a claim lives. */
  owned(entry: SeenEntry, by: string): void;
}

/** Who does what nobody has asked for. */
const STORE_ITSELF = "store";

export class SimulatedStore extends MemoryServer {
  /** Whether it has ever had no room for something. */
  hasRefused = false;
  /** Up to which transaction each has read the freezes last. */
  readonly freezesRead = new Map<string, number>();
  /** Whose request is being carried out. */
  #actor = STORE_ITSELF;
  readonly #checks: StoreObserver;
  readonly #seen = new WeakMap<Entry, SeenEntry>();
  /** How claims should end whose record was not taken, by who asked and "claim lock". */
  readonly #refused = new Map<string, Ending>();
  readonly #owners = new Map<string, string>();

  constructor(options: MemoryServerOptions, checks: StoreObserver) {
    super(options);
    this.#checks = checks;
    this.observer = { committed: (steps, before, after) => this.#committed(steps, before, after) };
  }

  /** Carries out what somebody asks for. */
  actAs<T>(actor: string, effect: () => T): T {
    const before = this.#actor;
    this.#actor = actor;
    try {
      return effect();
    } finally {
      this.#actor = before;
    }
  }

  /** Who has opened a session. */
  ownerOf(session: string | null): string | null {
    return session === null ? null : (this.#owners.get(session) ?? null);
  }

  override openSession(timeoutMs: number): string {
    const id = super.openSession(timeoutMs);
    this.#owners.set(id, this.#actor);
    return id;
  }

  override commit(steps: readonly Step[]): Committed {
    const committed = super.commit(steps);
    if (!committed.isDone && committed.why === "no-room") this.hasRefused = true;
    if (!committed.isDone && committed.why === "no-room")
      for (const step of steps) {
        if (step.do !== "archive") continue;
        const { claim, ending } = endingOf(step);
        this.#refused.set(`${this.#actor} ${claim} ${step.lock}`, ending);
      }
    return committed;
  }

  override document(name: string): StoredDocument | null {
    // A server that hears nothing of the others answers what it knows.
    if (name === FREEZES_DOCUMENT) this.freezesRead.set(this.#actor, this.revision);
    return super.document(name);
  }

  override restore(then: Contents): void {
    this.actAs(STORE_ITSELF, () => super.restore(then));
  }

  /** A queue as it is stored, with what ended sessions have left in it. */
  stored(lock: string): readonly SeenEntry[] {
    return this.queueOf(lock).map((entry) => this.#seenOf(entry));
  }

  /** Every entry of every queue that is there: what ended sessions have left is not. */
  present(): readonly SeenEntry[] {
    return this.entries().flatMap((entry) => (entry.durable || this.lives(entry.session) ? [this.#seenOf(entry)] : []));
  }

  /** Whether there was no room for a record when this one wanted it. */
  wasRefused(by: string, claim: string, lock: string): boolean {
    return this.#refused.has(`${by} ${claim} ${lock}`);
  }

  /** Newest first. */
  history(lock: string | null, limit: number): readonly HistoryRecord[] {
    return this.archived({ lock, limit, before: null, among: Number.POSITIVE_INFINITY }).flatMap(
      (archived) => decodeEnding(archived) ?? [],
    );
  }

  /** Ends a claim on all its locks as people do who have the right to, with a record where there is room for one. */
  end(entries: readonly SeenEntry[], ending: Ending): void {
    const removals = entries.map(({ lock, ref, id, revision }): Step => ({ do: "remove", lock, ref, claim: id, revision }));
    const records = entries.map((entry): Step => {
      return { do: "archive", lock: entry.lock, record: encodeEnding(entry.stored(), ending, false), endedAt: null, room: 1_000 };
    });
    const committed = this.commit([...removals, ...records]);
    if (!committed.isDone && committed.why === "no-room") this.commit(removals);
  }

  #seenOf(entry: Entry): SeenEntry {
    let seen = this.#seen.get(entry);
    if (seen === undefined) {
      seen = new SeenEntry(entry);
      this.#seen.set(entry, seen);
    }
    return seen;
  }

  #committed(steps: readonly Step[], before: readonly Entry[], after: readonly Entry[]): void {
    const by = this.#actor;
    const puts = steps.filter((step) => step.do === "put");
    const now = after.map((entry) => this.#seenOf(entry));
    const [put] = puts;
    if (put === undefined) {
      if (now.length > 0) this.#checks.joined(now, by);
      if (before.length > 0) this.#left(steps, before, by);
    } else {
      const then = before.map((entry) => new SeenEntry(entry));
      if (put.settles) this.#checks.settled(now, by);
      else if (put.isNewHolder) this.#checks.adopted(now, then, by);
      else this.#checks.updated(now, then, by);
    }
    for (const step of steps) if (step.do === "document" && step.name === FREEZES_DOCUMENT) this.#checks.frozen(step.value, by);
    for (const entry of now) if (put !== undefined) this.#checks.owned(entry, by);
    for (const step of steps) {
      if (step.do !== "own") continue;
      const entry = this.queueOf(step.lock).find(({ ref }) => ref === step.ref);
      if (entry !== undefined) this.#checks.owned(this.#seenOf(entry), by);
    }
  }

  #left(steps: readonly Step[], before: readonly Entry[], by: string): void {
    const entries = before.map((entry) => this.#seenOf(entry));
    const removed = steps.find((step) => step.do === "remove");
    if (removed === undefined) return this.#checks.left(entries, null, false, by);
    const record = steps.find((step) => step.do === "archive");
    const place = `${by} ${removed.claim} ${removed.lock}`;
    const ending = record === undefined ? this.#refused.get(place) : endingOf(record).ending;
    // Where no record was refused there is none because nobody has thought of it.
    this.#checks.left(entries, ending ?? null, record !== undefined, by);
  }
}

/** What a record tells of an end. */
function endingOf({ record, endedAt }: Extract<Step, { do: "archive" }>): { readonly claim: string; readonly ending: Ending } {
  const { claim, ...ending } = JSON.parse(record) as Ending & { readonly claim: string };
  return { claim, ending: { ...ending, ...(endedAt === null ? {} : { endedAt }) } };
}
