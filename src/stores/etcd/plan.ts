// The steps of a commit as one transaction of etcd's: what must hold, what is then done, and what is read where it does not hold.
import { randomUUID } from "node:crypto";
import type { Appended, Committed, Kept, SessionRef, Step } from "../../queue/store.js";
import { recordKey, sequenceOf } from "./archive.js";
import { encodeEpoch, entryOf, type Known, looksAt, type Subjects } from "./known.js";
import type { Layout } from "./layout.js";
import { encodePlace, type FoundPlace, placesIn, type PlaceValue, refOf, storedPlaceOf, tokenOf } from "./places.js";
import { MOST_OPERATIONS } from "./traits.js";
import type { Compare, Operation, RangeResponse, Transaction, TransactionResponse } from "./wire/messages.js";

export interface Plan {
  readonly transaction: Transaction;
  /** What the commit comes to, once the transaction is done. */
  committed(response: TransactionResponse): Extract<Committed, { isDone: true }>;
  /** The entries as they are then, so that the next commit need not read them. */
  written(revision: number): readonly FoundPlace[];
}

/** @param known what the steps go by; nothing in it refuses one of them */
export function planOf(layout: Layout, subjects: Subjects, known: Known, steps: readonly Step[], at: number): Plan {
  return new Planning(layout, subjects, known, at).plan(steps);
}

/** What an operation's response adds to what the commit comes to. */
type Reading = (response: RangeResponse, revision: number) => void;

class Planning {
  readonly #layout: Layout;
  readonly #subjects: Subjects;
  readonly #known: Known;
  readonly #at: number;
  readonly #compares = new Map<string, Compare>();
  readonly #operations: { readonly operation: Operation; readonly read?: Reading }[] = [];
  readonly #written: ((revision: number) => FoundPlace)[] = [];
  readonly #counted: { readonly lock: string; readonly index: number; readonly room: number }[] = [];
  readonly #appended: Appended[] = [];
  readonly #kept: Kept[] = [];
  #records = 0;

  constructor(layout: Layout, subjects: Subjects, known: Known, at: number) {
    this.#layout = layout;
    this.#subjects = subjects;
    this.#known = known;
    this.#at = at;
  }

  plan(steps: readonly Step[]): Plan {
    const records: ((revision: number) => Kept)[] = [];
    for (const step of steps) {
      if (step.do === "archive") records.push(this.#archive(step));
      else this.#add(step);
    }
    for (const { lock, index, room } of this.#counted) {
      // A claim on many locks leaves no room to count: a later release does.
      if (this.#operations.length === MOST_OPERATIONS) break;
      this.#do({ range: { ...this.#layout.historyOf(lock), only: "count" } }, ({ count }) => {
        this.#kept[index] = { ...(this.#kept[index] as Kept), isOver: count > room };
      });
    }
    return {
      transaction: {
        compares: [...this.#compares.values()],
        success: this.#operations.map(({ operation }) => operation),
        failure: looksAt(this.#layout, this.#subjects),
      },
      committed: ({ header: { revision }, responses }) => {
        for (const record of records) this.#kept.push(record(revision));
        for (const [index, { read }] of this.#operations.entries()) read?.(responses[index] as RangeResponse, revision);
        return { isDone: true, revision, at: this.#at, appended: this.#appended, kept: this.#kept };
      },
      written: (revision) => this.#written.map((one) => one(revision)),
    };
  }

  #add(step: Exclude<Step, { do: "archive" }>): void {
    switch (step.do) {
      case "append":
        return this.#append(step);
      case "put":
        return this.#put(step);
      case "own":
        return this.#own(step);
      case "remove":
      case "withdraw":
        return this.#remove(step);
      case "check":
        return this.#checkSession(step.session);
      case "end":
        return this.#end(step);
      case "document":
        this.#checkDocument(step);
        if (step.value === null) this.#do({ remove: { key: this.#layout.document(step.name) } });
        else this.#do({ put: { key: this.#layout.document(step.name), value: step.value } });
        return;
      case "check-document":
        return this.#checkDocument(step);
    }
  }

  #append({ lock, claim, session, key, slots, record }: Extract<Step, { do: "append" }>): void {
    this.#checkSession(session);
    this.#compare({ key: this.#layout.place(lock, claim), is: "created", at: 0 });
    // Before the entry is put: those that are there stand ahead of it.
    this.#do({ range: this.#layout.queue(lock) }, ({ pairs }, revision) => {
      this.#appended.push({
        ref: refOf({ created: revision, claim }),
        ahead: placesIn(this.#layout, pairs).map(storedPlaceOf),
      });
    });
    const value = { key, slots: Number.isFinite(slots) ? slots : null, session: session.id, since: this.#at, token: null };
    this.#write(lock, claim, value, record, session.id);
    this.#written.push((revision) => {
      return { lock, claim, created: revision, modified: revision, durable: false, value, aliveBy: null };
    });
  }

  #put(step: Extract<Step, { do: "put" }>): void {
    const { lock, claim, record, settles, isNewHolder } = step;
    const entry = entryOf(this.#layout, this.#known, step) as FoundPlace;
    const place = this.#layout.place(lock, claim);
    if (settles) {
      this.#compare({ key: place, is: "created", at: entry.created });
      this.#compare({ key: place, is: "ephemeral" });
    } else {
      this.#compare({ key: place, is: "modified", at: step.revision });
      this.#compare({ key: place, is: "durable" });
    }
    const session = step.session === undefined ? entry.value.session : step.session;
    const value: PlaceValue = {
      ...entry.value,
      session,
      since: settles ? this.#at : entry.value.since,
      token: isNewHolder ? true : tokenOf(entry),
    };
    this.#write(lock, claim, value, record, "0");
    let { aliveBy } = entry;
    if (settles || step.session !== undefined) aliveBy = this.#live(lock, claim, session, settles && step.session === undefined);
    this.#written.push((revision) => ({ ...entry, modified: revision, durable: true, value, aliveBy }));
  }

  /** Has others see the holder live by a session. @param isIts whether it is the one that the entry has gone with so far, and so lives */
  #live(lock: string, claim: string, session: string | null, isIts: boolean): string | null {
    const key = this.#layout.alive(lock, claim);
    if (session !== null && (isIts || this.#known.sessions.get(session) != null)) {
      if (!isIts) this.#compare({ key: this.#layout.session(session), is: "ephemeral" });
      this.#do({ put: { key, value: session, lease: session } });
      return session;
    }
    this.#do({ remove: { key } });
    return null;
  }

  /** One who has another holder by now, or is gone, will never have this one again. */
  #own(step: Extract<Step, { do: "own" }>): void {
    const { lock, token, session } = step;
    const entry = entryOf(this.#layout, this.#known, step);
    if (entry === null || tokenOf(entry) !== token || this.#known.sessions.get(session) == null) return;
    this.#compare({ key: this.#layout.place(lock, entry.claim), is: "modified", at: entry.modified });
    this.#live(lock, entry.claim, session, false);
  }

  /** An entry that is durable, or gone, will never be ephemeral again. */
  #remove(step: Extract<Step, { do: "remove" | "withdraw" }>): void {
    const entry = entryOf(this.#layout, this.#known, step);
    if (step.do === "withdraw" && entry?.durable !== false) return;
    const { lock, claim, created } = entry as FoundPlace;
    const key = this.#layout.place(lock, claim);
    if (step.do === "remove") this.#compare({ key, is: "modified", at: step.revision });
    else this.#compare({ key, is: "created", at: created });
    this.#compare({ key, is: step.do === "remove" ? "durable" : "ephemeral" });
    this.#do({ remove: this.#layout.entry(lock, claim) });
    this.#do({ remove: { key: this.#layout.record(lock, claim) } });
  }

  #archive({ lock, record, endedAt, room }: Extract<Step, { do: "archive" }>): (revision: number) => Kept {
    const index = this.#records;
    this.#records += 1;
    this.#do({ put: { key: recordKey(this.#layout, lock, endedAt ?? this.#at, randomUUID(), index), value: record } });
    this.#counted.push({ lock, index, room });
    return (revision) => ({ lock, sequence: sequenceOf(revision, index), isOver: false });
  }

  /** Ends it for everybody who checks it. Its lease, which goes at once after this, takes along what hangs on it. */
  #end({ session, isEnded }: Extract<Step, { do: "end" }>): void {
    const key = this.#layout.session(session);
    if (isEnded) this.#compare({ key, is: "version", at: 0 });
    else this.#do({ remove: { key } });
  }

  #checkSession({ id, epoch }: SessionRef): void {
    this.#compare({ key: this.#layout.session(id), is: "equal", value: encodeEpoch(epoch) });
  }

  #checkDocument({ name, revision }: { readonly name: string; readonly revision: number }): void {
    this.#compare({ key: this.#layout.document(name), is: "modified", at: revision });
  }

  /** Both keys of an entry. @param lease "0" for a durable one */
  #write(lock: string, claim: string, value: PlaceValue, record: string, lease: string): void {
    this.#do({ put: { key: this.#layout.place(lock, claim), value: encodePlace(value), lease } });
    this.#do({ put: { key: this.#layout.record(lock, claim), value: record, lease } });
  }

  #compare(compare: Compare): void {
    this.#compares.set(`${compare.is} ${compare.key}`, compare);
  }

  #do(operation: Operation, read?: Reading): void {
    this.#operations.push(read === undefined ? { operation } : { operation, read });
  }
}
