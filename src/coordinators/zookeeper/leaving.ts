// Ending durable claims. Letting go comes first: the claim is deleted with its history record and its liveness entry in one
// transaction, and without either where the server refuses it, for then nobody behind would ever get the lock.
import type { CoordinatorOptions, Ending, EntryRef, HistoryRecord, WriteOutcome } from "../../locks/coordinator.js";
import { type HistoryBounds, historyBoundsOf } from "../../locks/history-bounds.js";
import type { Background } from "./background.js";
import { isLoss, wordsOf } from "./failures.js";
import type { Folders } from "./folders.js";
import { isTrimDue, readHistory, trimHistory } from "./history.js";
import type { Layout } from "./layout.js";
import type { Holding, Liveness } from "./liveness.js";
import { MODE, op, type Step, WireError, ZK } from "./protocol.js";
import { decodeClaim, type EndedClaim, encodeEnded, fencingTokenOf } from "./records.js";
import type { Sessions } from "./sessions.js";
import { foreignRecord } from "./tree.js";
import { commit, ensure, isRefusal, outcomeOfAll, type Refusal, readClock, removeBelow } from "./upkeep.js";
import type { Wire } from "./wire.js";

/** One call to leave, over all its attempts. */
interface Attempted {
  sent: boolean;
  /** A deletion without a history record has been sent, so that the history cannot tell whose deletion it was. */
  unrecorded: boolean;
}

export class Leaving {
  readonly #sessions: Sessions;
  readonly #layout: Layout;
  readonly #liveness: Liveness;
  readonly #folders: Folders;
  readonly #background: Background;
  readonly #bounds: HistoryBounds;
  readonly #log: CoordinatorOptions["log"];

  constructor(
    sessions: Sessions,
    layout: Layout,
    liveness: Liveness,
    folders: Folders,
    background: Background,
    options: CoordinatorOptions,
  ) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#liveness = liveness;
    this.#folders = folders;
    this.#background = background;
    this.#bounds = historyBoundsOf(options);
    this.#log = options.log;
  }

  async leave(id: string, entries: readonly EntryRef[], ending: Ending, signal?: AbortSignal): Promise<WriteOutcome> {
    const attempted: Attempted = { sent: false, unrecorded: false };
    const outcome = await this.#sessions.retry(signal, async ({ wire }): Promise<WriteOutcome> => {
      const isAgain = attempted.sent;
      const find = (): Promise<WriteOutcome | "unwritten"> => this.#findLeft(wire, id, entries, ending, attempted);
      const before = isAgain ? await find() : "unwritten";
      if (before !== "unwritten") return before;
      attempted.sent = true;
      const left = await this.#commit(wire, id, entries, ending, attempted, signal);
      const after = isAgain && left === "gone" ? await find() : left;
      return after === "unwritten" ? left : after;
    });
    if (outcome !== "changed") this.#liveness.drop(id);
    return outcome;
  }

  /** At most five transactions: as it should be, once more after each of two repairs, and without each of the two parts that may be refused. */
  async #commit(
    wire: Wire,
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    attempted: Attempted,
    signal: AbortSignal | undefined,
  ): Promise<WriteOutcome> {
    const paths = entries.map((entry) => this.#pathOf(entry));
    const holding = this.#liveness.of(id, entries) ?? (await this.#readHolding(wire, entries));
    if (holding === null) return outcomeOfAll(wire, paths, "gone");
    const { record: ended, claimedAt } = holding;
    const removals = entries.map((entry, index) => op.remove(paths[index] as string, entry.revision));
    let records = this.recordSteps(entries, { claim: id, ...ending, record: ended, claimedAt, isKept: false });
    let alive = this.#liveness.end(id, ended);
    let mayRepair = true;
    let mayClear = true;
    for (;;) {
      let outcome: Awaited<ReturnType<typeof commit>>;
      try {
        outcome = await commit(wire, [...removals, ...alive, ...records], removals.length);
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
      // Who asked for it may have stopped waiting: then nothing more is tried on their behalf.
      signal?.throwIfAborted();
      if (outcome.step < removals.length + alive.length) {
        // Without a liveness entry there is none to delete: the session that it belonged to has ended.
        if ((await wire.exists(this.#layout.aliveOf(id))) !== null)
          this.#warn(id, entries, "is let go all the same, but its liveness entry stays until the session ends", outcome);
        alive = [];
      } else if (mayRepair) {
        mayRepair = false;
        await this.repairHistory(wire, outcome);
      } else {
        records = [];
        attempted.unrecorded = true;
        this.warnUnrecorded(id, entries, "is let go all the same", outcome);
      }
    }
  }

  /** The steps that write a history record for each entry. */
  recordSteps(entries: readonly EntryRef[], ended: EndedClaim): readonly Step[] {
    const record = encodeEnded(ended);
    return entries.map(({ lock }) => op.create(this.#layout.recordsOf(lock), record, MODE.PERSISTENT_SEQUENTIAL));
  }

  /** Puts right what can be: a folder that is missing, a record that has the number of the next one. */
  async repairHistory(wire: Wire, { error: refused }: Refusal): Promise<void> {
    try {
      await ensure(wire, this.#layout.history);
      if (refused.zk !== ZK.nodeExists) return;
      // The server counts the children that a znode has had: one more, and it gives the next number.
      const bump = `${this.#layout.history}/_next`;
      await ensure(wire, bump);
      await wire.remove(bump);
    } catch (error) {
      // What cannot be repaired is done without.
      if (!(error instanceof WireError) || isLoss(error)) throw error;
      this.#log.debug({ error: error.message }, "the history could not be repaired");
    }
  }

  /** Nothing of ours is below a claim. What others have made there would keep it for ever; it goes while the claim is as it was read. */
  async #clearBelow(wire: Wire, id: string, entries: readonly EntryRef[]): Promise<void> {
    for (const entry of entries) {
      const path = this.#pathOf(entry);
      if ((await wire.exists(path))?.version !== entry.revision) continue;
      const count = await removeBelow(wire, path);
      const what = `${count} znodes that another client had made below the claim on ${entry.lock} were removed, to let it go`;
      if (count > 0) this.#log.warn({ claim: id, lock: entry.lock }, what);
    }
  }

  /** @param what has become of the claim */
  warnUnrecorded(id: string, entries: readonly EntryRef[], what: string, refusal: Refusal): void {
    this.#warn(id, entries, `${what}, but its history has no record of that`, refusal);
  }

  #warn(id: string, entries: readonly EntryRef[], what: string, { error }: Refusal): void {
    const locks = entries.map(({ lock }) => lock);
    this.#log.warn({ claim: id, locks }, `the claim on ${locks.join(", ")} ${what}: ${wordsOf(error)}`);
  }

  /** Behind a release, which does not wait for it. @param written the paths of its records */
  #tidyUp(wire: Wire, entries: readonly EntryRef[], written: readonly string[]): void {
    this.#folders.removeBehind(
      this.#background,
      wire,
      entries.map(({ lock }) => lock),
    );
    this.trimBehind(wire, written);
  }

  /** Behind a write, which does not wait for it. @param written the paths of the records that were just written */
  trimBehind(wire: Wire, written: readonly string[]): void {
    if (!isTrimDue(written)) return;
    this.#background.run("the history was not trimmed; a later release tries again", () =>
      trimHistory(wire, this.#layout, this.#bounds, this.#log),
    );
  }

  async #readHolding(wire: Wire, entries: readonly EntryRef[]): Promise<Holding | null> {
    const node = await wire.getData(this.#pathOf(entries[0] as EntryRef));
    if (node === null) return null;
    const claim = decodeClaim(node.data);
    const record = claim?.record ?? foreignRecord(node.data);
    return { entries, record, fencingToken: fencingTokenOf(claim, node.stat), claimedAt: node.stat.ctime };
  }

  /**
   * The claim is not there after a lost reply: the history knows whether it was this leave, or someone else's. Where this leave
   * was sent without a record and the history names nobody else, the deletion of just this revision was its own.
   */
  async #findLeft(
    wire: Wire,
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    { unrecorded }: Attempted,
  ): Promise<WriteOutcome | "unwritten"> {
    try {
      await readClock(wire, this.#layout);
    } catch (error) {
      if (!(error instanceof WireError) || isLoss(error)) throw error;
      // A server that is behind is found out by the deletion that follows, which is conditional.
      this.#log.debug({ error: error.message }, "the clock cannot be written");
    }
    const stats = await Promise.all(entries.map((entry) => wire.exists(this.#pathOf(entry))));
    if (stats.every((stat, index) => stat?.version === entries[index]?.revision)) return "unwritten";
    if (!stats.includes(null)) return "changed";
    let records: readonly HistoryRecord[] = [];
    try {
      records = await readHistory(wire, this.#layout, (entries[0] as EntryRef).lock, this.#bounds.keep, this.#bounds);
    } catch (error) {
      if (!(error instanceof WireError) || isLoss(error)) throw error;
      this.#log.warn({ claim: id }, `the history cannot be read: ${wordsOf(error)}`);
    }
    const ends = records.filter((record) => record.claim === id && !record.isKept);
    if (ends.some((record) => record.event === ending.event && record.by === ending.by)) return "done";
    return unrecorded && ends.length === 0 ? "done" : "gone";
  }

  #pathOf({ lock, ref }: EntryRef): string {
    return `${this.#layout.lock(lock)}/${ref}`;
  }
}
