// Ending durable claims. One transaction deletes the claim and its liveness entry and writes the history record. If the server refuses
// either of the last two, the claim is let go without it: otherwise nobody behind would ever get the lock.
import type { CoordinatorOptions, EntryRef, WriteOutcome } from "../../locks/coordinator.js";
import type { Ending, HistoryRecord } from "../../locks/history.js";
import { type HistoryBounds, historyBoundsOf } from "../../locks/history-bounds.js";
import type { Background } from "./background.js";
import { isConnectionLoss, describeRefusal } from "./wire/errors.js";
import type { Folders } from "./folders.js";
import { isTrimDue, fetchHistory, trimHistory } from "./history.js";
import type { Layout } from "./layout.js";
import type { ClaimInHand, Liveness } from "./liveness.js";
import { MODE, op, type Step, WireError, ZK } from "./wire/protocol.js";
import { decodeClaim, type EndedClaim, encodeEnded, fencingTokenOf } from "./records.js";
import type { Sessions } from "./sessions.js";
import { foreignRecord } from "./reads.js";
import { commit, ensure, isRefusal, outcomeOfAll, type Refusal, sync, removeBelow } from "./writes.js";
import type { Wire } from "./wire/wire.js";

/** What the attempts of one call to leave have done so far. */
interface Attempted {
  sent: boolean;
  /** Whether a deletion without a history record has been sent, so that the history cannot tell whose deletion it was. */
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
      const isRetry = attempted.sent;
      const find = (): Promise<WriteOutcome | "unwritten"> => this.#findLeft(wire, id, entries, ending, attempted);
      const before = isRetry ? await find() : "unwritten";
      if (before !== "unwritten") return before;
      attempted.sent = true;
      const left = await this.#commit(wire, id, entries, ending, attempted, signal);
      const after = isRetry && left === "gone" ? await find() : left;
      return after === "unwritten" ? left : after;
    });
    if (outcome !== "changed") this.#liveness.drop(id);
    return outcome;
  }

  /** Sends at most five transactions: the full one, once more after each of two repairs, and without each of the two parts that may be refused. */
  async #commit(
    wire: Wire,
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    attempted: Attempted,
    signal: AbortSignal | undefined,
  ): Promise<WriteOutcome> {
    const paths = entries.map((entry) => this.#layout.entry(entry));
    const known = this.#liveness.inHand(id, entries) ?? (await this.#fetchClaim(wire, entries));
    if (known === null) return outcomeOfAll(wire, paths, "gone");
    const { record: ended, claimedAt } = known;
    const removals = entries.map((entry, index) => op.remove(paths[index] as string, entry.revision));
    let records = this.recordSteps(entries, { claim: id, ...ending, record: ended, claimedAt, isKept: false });
    let alive = this.#liveness.endSteps(id, ended);
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
      // The caller may have stopped waiting. Then nothing more is tried.
      signal?.throwIfAborted();
      if (outcome.step < removals.length + alive.length) {
        // The liveness entry may be gone with its session. Then there is none to delete.
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

  /** Repairs a missing folder, or a record that already has the number of the next one. */
  async repairHistory(wire: Wire, { error: refused }: Refusal): Promise<void> {
    try {
      await ensure(wire, this.#layout.history);
      if (refused.zk !== ZK.nodeExists) return;
      // The server numbers children by how many a znode has had: after one more child it gives the next number.
      const bump = `${this.#layout.history}/_next`;
      await ensure(wire, bump);
      await wire.remove(bump);
    } catch (error) {
      // Then the claim is let go without a record.
      if (!(error instanceof WireError) || isConnectionLoss(error)) throw error;
      this.#log.debug({ error: error.message }, "the history could not be repaired");
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

  /** @param what became of the claim */
  warnUnrecorded(id: string, entries: readonly EntryRef[], what: string, refusal: Refusal): void {
    this.#warn(id, entries, `${what}, but its history has no record of that`, refusal);
  }

  #warn(id: string, entries: readonly EntryRef[], what: string, { error }: Refusal): void {
    const locks = entries.map(({ lock }) => lock);
    this.#log.warn({ claim: id, locks }, `the claim on ${locks.join(", ")} ${what}: ${describeRefusal(error)}`);
  }

  /** Goes on behind a release. @param written the paths of its history records */
  #tidyUp(wire: Wire, entries: readonly EntryRef[], written: readonly string[]): void {
    this.#folders.removeBehind(
      this.#background,
      wire,
      entries.map(({ lock }) => lock),
    );
    this.trimBehind(wire, written);
  }

  /** Goes on behind a write. @param written the paths of the history records that it wrote */
  trimBehind(wire: Wire, written: readonly string[]): void {
    if (!isTrimDue(written)) return;
    this.#background.run("the history was not trimmed; a later release tries again", () =>
      trimHistory(wire, this.#layout, this.#bounds, this.#log),
    );
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
      records = await fetchHistory(wire, this.#layout, (entries[0] as EntryRef).lock, this.#bounds.keep, this.#bounds);
    } catch (error) {
      if (!(error instanceof WireError) || isConnectionLoss(error)) throw error;
      this.#log.warn({ claim: id }, `the history cannot be read: ${describeRefusal(error)}`);
    }
    const ends = records.filter((record) => record.claim === id && !record.isKept);
    if (ends.some((record) => record.event === ending.event && record.by === ending.by)) return "done";
    return unrecorded && ends.length === 0 ? "done" : "gone";
  }
}
