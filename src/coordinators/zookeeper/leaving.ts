// Ending durable claims. One transaction deletes the claim and its liveness entry, writes documents and the history record. If the server
// refuses anything but the claim's deletion, the claim is let go without it: otherwise nobody behind would ever get the lock.
import type { CoordinatorOptions, EntryRef, WriteOutcome } from "../../locks/coordinator.js";
import { bytesOf, type DocumentWrite } from "../../locks/documents.js";
import { DocumentChangedError } from "../../locks/errors.js";
import type { Ending, HistoryRecord } from "../../locks/history.js";
import type { Background } from "./background.js";
import type { Documents } from "./documents.js";
import { isConnectionLoss, describeRefusal } from "./wire/errors.js";
import type { Folders } from "./folders.js";
import { fetchHistory } from "./history.js";
import type { Layout } from "./layout.js";
import type { ClaimInHand, Liveness } from "./liveness.js";
import { op, type Step, WireError, ZK } from "./wire/protocol.js";
import type { Recording } from "./recording.js";
import { decodeClaim, encodeEnded, fencingTokenOf } from "./records.js";
import type { Sessions } from "./sessions.js";
import { foreignRecord } from "./reads.js";
import { commit, isRefusal, MOST_BYTES, outcomeOfAll, sync, removeBelow } from "./writes.js";
import type { Wire } from "./wire/wire.js";

/** What the attempts of one call to leave have done so far. */
interface Attempted {
  sent: boolean;
  /** Whether a deletion without a history record has been sent, so that the history cannot tell whose deletion it was. */
  unrecorded: boolean;
}

/** What ending claims needs of the coordinator's other parts. */
export interface LeavingParts {
  readonly folders: Folders;
  readonly documents: Documents;
  readonly recording: Recording;
  readonly background: Background;
}

export class Leaving {
  readonly #sessions: Sessions;
  readonly #layout: Layout;
  readonly #liveness: Liveness;
  readonly #folders: Folders;
  readonly #documents: Documents;
  readonly #recording: Recording;
  readonly #background: Background;
  readonly #log: CoordinatorOptions["log"];

  constructor(
    sessions: Sessions,
    layout: Layout,
    liveness: Liveness,
    { folders, documents, recording, background }: LeavingParts,
    log: CoordinatorOptions["log"],
  ) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#liveness = liveness;
    this.#folders = folders;
    this.#documents = documents;
    this.#recording = recording;
    this.#background = background;
    this.#log = log;
  }

  async leave(
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    writes: readonly DocumentWrite[],
    signal?: AbortSignal,
  ): Promise<WriteOutcome> {
    const attempted: Attempted = { sent: false, unrecorded: false };
    const outcome = await this.#sessions.retry(signal, async ({ wire }): Promise<WriteOutcome> => {
      const isRetry = attempted.sent;
      const find = (): Promise<WriteOutcome | "unwritten"> => this.#findLeft(wire, id, entries, ending, attempted);
      const before = isRetry ? await find() : "unwritten";
      if (before !== "unwritten") return before;
      attempted.sent = true;
      const left = await this.#commit(wire, id, entries, ending, writes, attempted, signal);
      const after = isRetry && left === "gone" ? await find() : left;
      return after === "unwritten" ? left : after;
    });
    if (outcome !== "changed") this.#liveness.drop(id);
    return outcome;
  }

  /** Sends at most six transactions: the full one, once more after each of two repairs, and without each of the three parts that may be refused. */
  async #commit(
    wire: Wire,
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    writes: readonly DocumentWrite[],
    attempted: Attempted,
    signal: AbortSignal | undefined,
  ): Promise<WriteOutcome> {
    const paths = entries.map((entry) => this.#layout.entry(entry));
    const known = this.#liveness.inHand(id, entries) ?? (await this.#fetchClaim(wire, entries));
    if (known === null) return outcomeOfAll(wire, paths, "gone");
    const { record: ended, claimedAt } = known;
    const removals = entries.map((entry, index) => op.remove(paths[index] as string, entry.revision));
    const told = { claim: id, ...ending, record: ended, claimedAt, isKept: false };
    const locks = entries.map(({ lock }) => lock);
    let records = this.#recording.stepsFor(locks, told);
    // A transaction that is too large ends the connection, and nothing is done.
    const isTooLarge = bytesOf(writes) + entries.length * encodeEnded(told).byteLength > MOST_BYTES;
    if (isTooLarge && writes.length > 0) this.#warn(id, entries, withoutDocuments(writes, "they are too large"));
    let documents = isTooLarge ? [] : await this.#documentSteps(wire, id, entries, writes);
    let alive = this.#liveness.endSteps(id, ended);
    let mayRepair = true;
    let mayClear = true;
    for (;;) {
      let outcome: Awaited<ReturnType<typeof commit>>;
      try {
        outcome = await commit(wire, [...removals, ...documents, ...alive, ...records], removals.length);
      } catch (error) {
        if (!mayClear || !(error instanceof WireError) || error.zk !== ZK.notEmpty) throw error;
        mayClear = false;
        signal?.throwIfAborted();
        await this.#clearBelow(wire, id, entries);
        continue;
      }
      if (!isRefusal(outcome)) {
        if (outcome === "gone" || outcome === "changed") return outcomeOfAll(wire, paths, outcome);
        this.#tidyUp(wire, entries, outcome.slice(outcome.length - records.length) as string[]);
        return "done";
      }
      // The caller may have stopped waiting. Then nothing more is tried.
      signal?.throwIfAborted();
      const { step, error } = outcome;
      if (step < removals.length + documents.length) {
        if (error.zk === ZK.badVersion || error.zk === ZK.noNode)
          throw new DocumentChangedError((writes[step - removals.length] as DocumentWrite).name);
        this.#warn(id, entries, withoutDocuments(writes, describeRefusal(error)));
        documents = [];
      } else if (step < removals.length + documents.length + alive.length) {
        // The liveness entry may be gone with its session. Then there is none to delete.
        if ((await wire.exists(this.#layout.aliveOf(id))) !== null)
          this.#warn(id, entries, `its liveness entry stays until the session ends: ${describeRefusal(error)}`);
        alive = [];
      } else if (mayRepair) {
        mayRepair = false;
        await this.#recording.repair(wire, outcome);
      } else {
        records = [];
        attempted.unrecorded = true;
        this.#warn(id, entries, `its history has no record of that: ${describeRefusal(error)}`);
      }
    }
  }

  /** Holdline makes nothing below a claim. Other clients' znodes there would keep it for ever, so they go, if the claim is as it was read. */
  async #clearBelow(wire: Wire, id: string, entries: readonly EntryRef[]): Promise<void> {
    for (const entry of entries) {
      const path = this.#layout.entry(entry);
      if ((await wire.exists(path))?.version !== entry.revision) continue;
      const count = await removeBelow(wire, path);
      const what = `${count} znodes that another client had made below the claim on ${entry.lock} were removed, to let it go`;
      if (count > 0) this.#log.warn({ claim: id, lock: entry.lock }, what);
    }
  }

  /** The steps that write the documents; none where the server does not even let them be read. */
  async #documentSteps(
    wire: Wire,
    id: string,
    entries: readonly EntryRef[],
    writes: readonly DocumentWrite[],
  ): Promise<readonly Step[]> {
    try {
      return await this.#documents.writeSteps(wire, writes);
    } catch (error) {
      if (!(error instanceof WireError) || isConnectionLoss(error)) throw error;
      this.#warn(id, entries, withoutDocuments(writes, describeRefusal(error)));
      return [];
    }
  }

  #warn(id: string, entries: readonly EntryRef[], what: string): void {
    const locks = entries.map(({ lock }) => lock);
    this.#log.warn({ claim: id, locks }, `the claim on ${locks.join(", ")} is let go all the same, but ${what}`);
  }

  /** Goes on behind a release. @param written the paths of its history records */
  #tidyUp(wire: Wire, entries: readonly EntryRef[], written: readonly string[]): void {
    this.#folders.removeBehind(
      this.#background,
      wire,
      entries.map(({ lock }) => lock),
    );
    this.#recording.trimBehind(wire, written);
  }

  async #fetchClaim(wire: Wire, entries: readonly EntryRef[]): Promise<ClaimInHand | null> {
    const node = await wire.getData(this.#layout.entry(entries[0] as EntryRef));
    if (node === null) return null;
    const claim = decodeClaim(node.data);
    const record = claim?.record ?? foreignRecord(node.data);
    const fencingToken = fencingTokenOf(claim, node.stat);
    return { entries, record, fencingToken, adoption: claim?.adoption ?? null, claimedAt: node.stat.ctime };
  }

  /**
   * After a lost reply: whether this call has deleted the claim, or someone else has. The history knows. If this call has sent a deletion
   * without a record, and the history names nobody else, then the deletion of exactly this revision was its own.
   */
  async #findLeft(
    wire: Wire,
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    { unrecorded }: Attempted,
  ): Promise<WriteOutcome | "unwritten"> {
    try {
      await sync(wire, this.#layout);
    } catch (error) {
      if (!(error instanceof WireError) || isConnectionLoss(error)) throw error;
      // The deletion that follows is conditional, so it fails if the server is behind.
      this.#log.debug({ error: error.message }, "the clock cannot be written");
    }
    const stats = await Promise.all(entries.map((entry) => wire.exists(this.#layout.entry(entry))));
    if (stats.every((stat, index) => stat?.version === entries[index]?.revision)) return "unwritten";
    if (!stats.includes(null)) return "changed";
    let records: readonly HistoryRecord[] = [];
    try {
      records = await fetchHistory(
        wire,
        this.#layout,
        (entries[0] as EntryRef).lock,
        this.#recording.bounds.keep,
        this.#recording.bounds,
      );
    } catch (error) {
      if (!(error instanceof WireError) || isConnectionLoss(error)) throw error;
      this.#log.warn({ claim: id }, `the history cannot be read: ${describeRefusal(error)}`);
    }
    const ends = records.filter((record) => record.claim === id && !record.isKept);
    if (ends.some((record) => record.event === ending.event && record.by === ending.by)) return "done";
    return unrecorded && ends.length === 0 ? "done" : "gone";
  }
}

/** What is said of documents that are left as they were. */
function withoutDocuments(writes: readonly DocumentWrite[], why: string): string {
  return `the documents ${writes.map(({ name }) => name).join(", ")} are not written: ${why}`;
}
