// Writing to claims in hand: settling in place, adopting, updating, and ending them with their history. Each is one commit that names
// what it expects to find. What became of one whose reply was lost, lost-writes.ts finds out.
import type { ClaimRecord } from "../locks/claim.js";
import { encodeRecord } from "../locks/claim.js";
import type { Draft, EntryRef, Joined, JustSettled, QueuePosition, Settled, WriteOutcome } from "../locks/coordinator.js";
import { bytesOf, type DocumentCheck, type DocumentWrite } from "../locks/documents.js";
import type { Ending, Keeping } from "../locks/history.js";
import type { Log } from "../locks/log.js";
import { DocumentChangedError, SessionLostError } from "../locks/errors.js";
import type { Asking } from "./asking.js";
import type { History } from "./history.js";
import type { Joining } from "./joining.js";
import { findAdopted, findLeft, findSettled, findWritten } from "./lost-writes.js";
import type { Reads } from "./reads.js";
import { type Ended, encodeEnding, encodeWrite, nameOf } from "./records.js";
import type { EngineSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import type { Committed, QueueStore, SessionRef, Step, StoredEntry } from "./store.js";

/** What writing needs of the engine's other parts. */
export interface WritesParts {
  readonly asking: Asking;
  readonly sessions: Sessions;
  readonly reads: Reads;
  readonly joining: Joining;
  readonly history: History;
  readonly log: Log;
}

export class Writes {
  readonly #store: QueueStore;
  readonly #asking: Asking;
  readonly #sessions: Sessions;
  readonly #reads: Reads;
  readonly #joining: Joining;
  readonly #history: History;
  readonly #log: Log;
  /** What this engine has written to entries, so that the history can be told of them without reading them again. */
  readonly #written = new Map<string, Ended & { readonly revision: number }>();

  constructor(store: QueueStore, { asking, sessions, reads, joining, history, log }: WritesParts) {
    this.#store = store;
    this.#asking = asking;
    this.#sessions = sessions;
    this.#reads = reads;
    this.#joining = joining;
    this.#history = history;
    this.#log = log;
  }

  async settle(
    draft: Draft,
    joined: Joined,
    record: ClaimRecord,
    checks: readonly DocumentCheck[],
    signal?: AbortSignal,
  ): Promise<JustSettled> {
    const session = joined.session as EngineSession;
    const { id } = draft;
    const { positions } = joined;
    const text = encodeRecord(record);
    const stepsOf = (ref: SessionRef): readonly Step[] => [
      { do: "check", session: ref },
      ...checks.map((check): Step => ({ do: "check-document", ...check })),
      ...positions.map(({ lock, ref: entry, revision }): Step => {
        const settles = { settles: true, isNewHolder: true, ...(record.lease === null ? {} : { session: null }) };
        return { do: "put", lock, ref: entry, claim: id, revision, record: text, ...settles };
      }),
    ];
    const find = () => findSettled(this.#reads, id, positions);
    let settled: JustSettled;
    try {
      const committed = await this.#sessions.commit(session, signal, stepsOf, async () => (await find()) ?? undefined);
      if ("found" in committed) settled = committed.found;
      else if (committed.isDone)
        settled = { ...this.#note(id, positions, text, committed.revision, committed.at), since: committed.at };
      else {
        const found = await find();
        // The check of the session comes first.
        const changed = found === null && committed.why === "changed" ? checks[committed.step - 1] : undefined;
        if (changed !== undefined) throw new DocumentChangedError(changed.name);
        if (found === null) throw await this.#joining.lossOf(session, (positions[0] as QueuePosition).lock, signal);
        settled = found;
      }
    } catch (error) {
      // Whether it was settled before the session ended is for the store to say, once what was sent in it cannot happen any more.
      if (!(error instanceof SessionLostError)) throw error;
      await this.#sessions.fenceLost(session);
      const found = await find();
      if (found === null) throw error;
      settled = found;
    }
    this.#joining.settled(positions);
    if (record.lease === null) this.#sessions.take(id, settled, session);
    return settled;
  }

  async adopt(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    const text = encodeRecord(record);
    const tried = new Set<string>();
    for (;;) {
      const session = await this.#sessions.current(signal);
      tried.add(session.id);
      const stepsOf = (ref: SessionRef): readonly Step[] => [
        { do: "check", session: ref },
        ...entries.map((entry): Step => ({ ...putOf(id, entry, text), settles: false, isNewHolder: true, session: ref.id })),
      ];
      try {
        const find = () => findAdopted(this.#reads, id, entries, tried);
        const committed = await this.#sessions.commit(session, signal, stepsOf, find);
        let adopted = await this.#outcomeOf(id, entries, text, committed, null);
        // What was sent in a session that was lost may have happened before this.
        if (adopted === "changed" && tried.size > 1) adopted = (await find()) ?? adopted;
        if (typeof adopted !== "string") this.#sessions.take(id, adopted, tried.size === 1 ? session : null);
        return adopted;
      } catch (error) {
        if (!(error instanceof SessionLostError)) throw error;
      }
    }
  }

  async update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed"> {
    const { entries, fencingToken } = settled;
    const text = encodeWrite(record);
    const steps: Step[] = entries.map((entry) => ({ ...putOf(id, entry, text), settles: false, isNewHolder: false }));
    if (keeping !== undefined) {
      const known = await this.#knownOf(id, entries, signal);
      if (typeof known === "string") return this.#noted(id, entries, known);
      for (const [index, { lock }] of entries.entries())
        steps.push(this.#archiveOf(lock, { ...(known[index] as Ended), record: text }, keeping, true));
    }
    const find = () => findWritten(this.#reads, id, entries, text, fencingToken);
    const committed = await this.#commit(steps, signal, find);
    if ("kept" in committed) this.#history.grown(committed.kept);
    const outcome = await this.#outcomeOf(id, entries, text, committed, fencingToken);
    // What was sent before a lost reply may have arrived only after it was looked for.
    return outcome === "changed" ? ((await find()) ?? outcome) : outcome;
  }

  async leave(
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    writes: readonly DocumentWrite[],
    signal?: AbortSignal,
  ): Promise<WriteOutcome> {
    const known = await this.#knownOf(id, entries, signal);
    if (typeof known === "string") return this.#noted(id, entries, known);
    const removals = entries.map(({ lock, ref, revision }): Step => ({ do: "remove", lock, ref, claim: id, revision }));
    const records = entries.map(({ lock }, index) => this.#archiveOf(lock, known[index] as Ended, ending, false));
    const steps = [...removals, ...this.#fitting(writes, records), ...records];
    const find = () => findLeft(this.#reads, this.#history, id, entries, steps);
    let wasLost = false;
    const committed = await this.#commit(steps, signal, () => {
      wasLost = true;
      return find();
    });
    let outcome: WriteOutcome;
    if ("found" in committed) outcome = committed.found;
    else if (committed.isDone) {
      outcome = "done";
      this.#history.grown(committed.kept);
    } else {
      // What was sent before a lost reply may have arrived only after it was looked for.
      const found = wasLost ? await find() : undefined;
      const refused = steps[committed.step];
      if (found === undefined && committed.why === "changed" && refused?.do === "document")
        throw new DocumentChangedError(refused.name);
      outcome = found ?? (await this.#refusalOf(id, entries, signal));
    }
    return this.#noted(id, entries, outcome);
  }

  /** The steps that write the documents; none where they would make the transaction too large for the store. */
  #fitting(writes: readonly DocumentWrite[], records: readonly Step[]): readonly Step[] {
    const bytes = records.reduce(
      (sum, step) => sum + (step.do === "archive" ? Buffer.byteLength(step.record) : 0),
      bytesOf(writes),
    );
    if (writes.length > 0 && bytes > this.#store.traits.maxBytes) {
      this.#log.warn({}, "documents that were to be written with a claim's end are too large for the store: it ends without");
      return [];
    }
    return writes.map((write): Step => ({ do: "document", ...write }));
  }

  /** A claim that is there no more is in no hand. */
  #noted<O extends WriteOutcome>(id: string, entries: readonly EntryRef[], outcome: O): O {
    if (outcome === "changed") return outcome;
    for (const entry of entries) this.#written.delete(nameOf(entry));
    this.#sessions.drop(id);
    return outcome;
  }

  /** Commits steps of no session, each of which names what it expects to find. */
  #commit<T>(
    steps: readonly Step[],
    signal: AbortSignal | undefined,
    onLost: () => Promise<T | undefined>,
  ): Promise<Committed | { readonly found: T }> {
    const attempt = async (patience: AbortSignal | undefined): Promise<Committed | { readonly found: T }> => {
      let left = steps;
      for (;;) {
        const committed = await this.#store.commit(left, patience);
        if (committed.isDone) this.#sessions.latest?.see(committed.revision);
        if (committed.isDone || committed.why !== "no-room") return committed;
        // Bookkeeping never vetoes a release.
        const refused = (left[committed.step] as Step).do;
        const what = refused === "document" ? "document" : "more history";
        this.#log.warn({}, `the store takes no ${what}: it goes on without`);
        left = left.filter((step) => step.do !== refused);
      }
    };
    return this.#asking.ask(signal, attempt, async () => {
      const found = await onLost();
      return found === undefined ? undefined : { found };
    });
  }

  async #outcomeOf(
    id: string,
    entries: readonly EntryRef[],
    text: string,
    committed: Committed | { readonly found: Settled | "changed" },
    token: number | null,
  ): Promise<Settled | "gone" | "changed"> {
    if ("found" in committed) return committed.found;
    if (committed.isDone) {
      const { entries: written, fencingToken } = this.#note(id, entries, text, committed.revision, null);
      return { entries: written, fencingToken: token ?? fencingToken };
    }
    return this.#noted(id, entries, await this.#refusalOf(id, entries, undefined));
  }

  /** Why entries could not be written to: they are all gone, or not as they were read. */
  async #refusalOf(id: string, entries: readonly EntryRef[], signal: AbortSignal | undefined): Promise<"gone" | "changed"> {
    const there = await this.#reads.entriesAt(id, entries, signal);
    return there.every((entry) => entry === null) ? "gone" : "changed";
  }

  /** @param since when the entries were stamped; `null` where the commit has stamped none */
  #note(id: string, entries: readonly EntryRef[], record: string, revision: number, since: number | null): Settled {
    for (const entry of entries) {
      const name = nameOf(entry);
      const stamped = since ?? this.#written.get(name)?.since;
      if (stamped === undefined) continue;
      this.#written.set(name, { claim: id, since: stamped, record, revision });
    }
    return { entries: entries.map(({ lock, ref }) => ({ lock, ref, revision })), fencingToken: revision };
  }

  #archiveOf(lock: string, ended: Ended, ending: Ending, isKept: boolean): Step {
    const record = encodeEnding(ended, ending, isKept);
    return { do: "archive", lock, record, endedAt: ending.endedAt ?? null, room: this.#history.room };
  }

  /** What the history is to say of entries: as this engine has written them, or as they are read. */
  async #knownOf(
    id: string,
    entries: readonly EntryRef[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Ended[] | "gone" | "changed"> {
    const written = entries.map((entry) => this.#written.get(nameOf(entry)));
    if (written.every((one, index) => one !== undefined && one.revision === entries[index]?.revision))
      return written as readonly Ended[];
    const there = await this.#reads.entriesAt(id, entries, signal);
    if (there.every((entry) => entry === null)) return "gone";
    const isAsRead = there.every((entry, index) => entry?.durable === true && entry.revision === entries[index]?.revision);
    return isAsRead ? (there as readonly StoredEntry[]) : "changed";
  }
}

function putOf(claim: string, { lock, ref, revision }: EntryRef, record: string) {
  return { do: "put", lock, ref, claim, revision, record } as const;
}
