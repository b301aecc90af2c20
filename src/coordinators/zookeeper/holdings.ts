// Durable claims: settle, adopt, update and leave, each one transaction whose lost reply is looked up and never guessed,
// and the liveness entries of those that this process has in hand.
import type { ClaimRecord } from "../../locks/claim.js";
import type { CoordinatorOptions, Draft, Ending, Entry, Settled, WriteOutcome } from "../../locks/coordinator.js";
import { bestEffort, ClaimLostError, SessionLostError } from "../../locks/errors.js";
import type { Layout } from "./layout.js";
import { RECORD_PREFIX } from "./layout.js";
import { decodeClaim, encodeClaim, encodeEnded } from "./records.js";
import type { Sessions, ZkSession } from "./session.js";
import { foreignRecord, readHistory } from "./tree.js";
import { ensure, isSettled, readClock, removeIfThere, removeUnsettled, SETTLED, trimHistory, UNSETTLED } from "./upkeep.js";
import type { Stat, Step } from "./protocol.js";
import type { Wire } from "./wire.js";
import { MODE, op, WireError, ZK } from "./protocol.js";

const EMPTY = Buffer.alloc(0);

/** What this process knows of a durable claim in its hands. */
interface Holding {
  readonly entries: readonly Entry[];
  readonly record: ClaimRecord;
  readonly claimedAt: number;
}

export class Holdings {
  readonly #sessions: Sessions;
  readonly #layout: Layout;
  readonly #options: CoordinatorOptions;
  readonly #held = new Map<string, Holding>();

  constructor(sessions: Sessions, layout: Layout, options: CoordinatorOptions) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#options = options;
  }

  /** After a session was lost: says again, in the new one, that the claims in hand are being run. */
  restoreLiveness(): void {
    for (const id of this.#held.keys()) this.#restoreLivenessOf(id);
  }

  #restoreLivenessOf(id: string): void {
    void bestEffort(this.#options.log, "the liveness entry was not restored: the claim looks stale until it is", () =>
      this.#sessions.retry(undefined, async (session) => {
        const holding = this.#held.get(id);
        if (holding !== undefined) await this.#putLiveness(session, id, holding);
      }),
    );
  }

  /** Says that this process runs the claim, in its present session; only as long as the claim is as it was left. */
  async #putLiveness(session: ZkSession, id: string, holding: Holding): Promise<void> {
    const { wire } = session;
    const alive = this.#layout.aliveOf(id);
    const present = await wire.exists(alive);
    if (present?.ephemeralOwner === session.id) return;
    const checks = holding.entries.map((entry) => op.check(this.#pathOf(entry), entry.revision));
    const steps = [...(present === null ? [] : [op.remove(alive)]), op.create(alive, EMPTY, MODE.EPHEMERAL)];
    if ((await this.#commit(wire, [...checks, ...steps], checks.length)) !== "repair") return;
    await ensure(wire, this.#layout.alive);
    await this.#putLiveness(session, id, holding);
  }

  async settle(
    draft: Draft,
    entries: readonly Entry[],
    home: ZkSession,
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled> {
    const paths = entries.map((entry) => this.#pathOf(entry));
    let again = false;
    const stats = await this.#sessions.retry(signal, async (session) => {
      const found = again || session !== home ? await this.#findSettled(session, home, paths) : null;
      again = true;
      return found ?? this.#commitSettle(session.wire, draft.id, paths, record);
    });
    const [first] = stats as [Stat];
    const held = entries.map(({ lock, ref }, index) => ({ lock, ref, revision: (stats[index] as Stat).version }));
    this.#held.set(draft.id, { entries: held, record, claimedAt: first.ctime });
    if (home.lost.aborted) this.#restoreLivenessOf(draft.id);
    return { entries: held, fencingToken: first.czxid };
  }

  async #commitSettle(wire: Wire, id: string, paths: readonly string[], record: ClaimRecord): Promise<Stat[]> {
    const data = encodeClaim({ record, fencingToken: null });
    const steps = paths.flatMap((path) => [
      op.remove(path, UNSETTLED),
      op.create(path, EMPTY, MODE.PERSISTENT),
      op.setData(path, data, UNSETTLED),
    ]);
    const alive = op.create(this.#layout.aliveOf(id), EMPTY, MODE.EPHEMERAL);
    // Sent back to back: what the server made of it comes with the same round trip.
    const [done, ...stats] = await Promise.allSettled([
      wire.transaction([...steps, alive]),
      ...paths.map((path) => wire.exists(path)),
    ]);
    if (done.status === "rejected") {
      const failed = done.reason instanceof WireError ? done.reason : null;
      const present = stats.map((stat) => (stat.status === "fulfilled" ? stat.value : null));
      // Settled already, by an earlier call.
      if (failed?.operation != null && present.every(isSettled)) return present as Stat[];
      if (failed?.operation === steps.length) {
        await removeIfThere(wire, this.#layout.aliveOf(id));
        await ensure(wire, this.#layout.alive);
        return this.#commitSettle(wire, id, paths, record);
      }
      if (failed?.zk === ZK.noNode || failed?.zk === ZK.badVersion)
        throw new ClaimLostError(`the claim ${id} was taken out of its queue before it was settled`);
      throw done.reason;
    }
    return stats.map((stat) => {
      if (stat.status === "rejected") throw stat.reason;
      if (stat.value === null) throw new ClaimLostError(`the claim ${id} was removed as soon as it was settled`);
      return stat.value;
    });
  }

  /**
   * Was it settled although the reply was lost? `null` when it was not and can still be.
   * @throws SessionLostError when it was not and its session is gone; it cannot be settled later from a server that was slow
   */
  async #findSettled(session: ZkSession, home: ZkSession, paths: readonly string[]): Promise<Stat[] | null> {
    await readClock(session.wire, this.#layout);
    const stats = await Promise.all(paths.map((path) => session.wire.exists(path)));
    if (stats.every(isSettled)) return stats as Stat[];
    if (session === home) return null;
    // A transaction that is still under way fails once what it would delete is gone.
    for (const path of paths) await removeUnsettled(session.wire, path);
    throw home.lost.reason instanceof SessionLostError
      ? home.lost.reason
      : new SessionLostError("the session was lost before the claim was settled");
  }

  /** Removes what a settle that failed may have left: nothing has been done under it, and nobody else has taken it up. */
  async undoSettle(wire: Wire, entries: readonly Entry[]): Promise<void> {
    for (const path of entries.map((entry) => this.#pathOf(entry))) {
      await removeUnsettled(wire, path);
      if (isSettled(await wire.exists(path))) await removeIfThere(wire, path, SETTLED);
    }
  }

  async adopt(
    id: string,
    entries: readonly Entry[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    const data = encodeClaim({ record, fencingToken: null });
    return this.#write(id, entries, record, data, true, signal);
  }

  async update(id: string, settled: Settled, record: ClaimRecord, signal?: AbortSignal): Promise<Settled | "gone" | "changed"> {
    const { fencingToken } = settled;
    const outcome = await this.#write(id, settled.entries, record, encodeClaim({ record, fencingToken }), false, signal);
    return typeof outcome === "string" ? outcome : { ...outcome, fencingToken };
  }

  async #write(
    id: string,
    entries: readonly Entry[],
    record: ClaimRecord,
    data: Buffer,
    takeover: boolean,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    const paths = entries.map((entry) => this.#pathOf(entry));
    const steps = entries.map((entry, index) => op.setData(paths[index] as string, data, entry.revision));
    const alive = this.#layout.aliveOf(id);
    let attempts = 0;
    const written = await this.#sessions.retry(signal, async ({ wire }): Promise<Stat[] | "gone" | "changed"> => {
      attempts += 1;
      if (attempts > 1) {
        await readClock(wire, this.#layout);
        const found = await this.#findWritten(wire, entries, data);
        if (found !== "unwritten") return found;
      }
      let withAlive = takeover ? [op.create(alive, EMPTY, MODE.EPHEMERAL)] : [];
      for (;;) {
        const outcome = await this.#commit(wire, [...steps, ...withAlive], steps.length);
        if (outcome === "repair") {
          // The dead owner's liveness entry may still stand until its session expires.
          withAlive = (await wire.exists(alive)) === null ? withAlive.slice(-1) : [op.remove(alive), ...withAlive.slice(-1)];
          await ensure(wire, this.#layout.alive);
          continue;
        }
        if (outcome === "gone" || outcome === "changed") return this.#ofAll(wire, entries, outcome);
        const found = await this.#findWritten(wire, entries, data);
        return found === "unwritten" ? "changed" : found;
      }
    });
    if (typeof written === "string") return written;
    const [first] = written as [Stat];
    const held = entries.map(({ lock, ref, revision }) => ({ lock, ref, revision: revision + 1 }));
    this.#held.set(id, { entries: held, record, claimedAt: first.ctime });
    if (takeover && attempts > 1) this.#restoreLivenessOf(id);
    return { entries: held, fencingToken: first.mzxid };
  }

  /** After a write: do the entries hold just what it wrote? */
  async #findWritten(wire: Wire, entries: readonly Entry[], data: Buffer): Promise<Stat[] | "gone" | "changed" | "unwritten"> {
    const nodes = await Promise.all(entries.map((entry) => wire.getData(this.#pathOf(entry))));
    if (nodes.includes(null)) return "gone";
    const stats = nodes.map((node) => (node as { readonly stat: Stat }).stat);
    if (entries.every((entry, index) => (stats[index] as Stat).version === entry.revision)) return "unwritten";
    const ours = entries.every(
      (entry, index) => stats[index]?.version === entry.revision + 1 && nodes[index]?.data === data.toString(),
    );
    return ours ? stats : "changed";
  }

  async leave(id: string, entries: readonly Entry[], ending: Ending, signal?: AbortSignal): Promise<WriteOutcome> {
    let again = false;
    const outcome = await this.#sessions.retry(signal, async ({ wire }): Promise<WriteOutcome> => {
      if (again) {
        const found = await this.#findLeft(wire, id, entries, ending);
        if (found !== "unwritten") return found;
      }
      again = true;
      return this.#commitLeave(wire, id, entries, ending);
    });
    if (outcome !== "changed") this.#held.delete(id);
    return outcome;
  }

  async #commitLeave(wire: Wire, id: string, entries: readonly Entry[], ending: Ending): Promise<WriteOutcome> {
    const holding = this.#held.get(id) ?? (await this.#readHolding(wire, entries));
    if (holding === null) return "gone";
    const { record: ended, claimedAt } = holding;
    const record = encodeEnded({ claim: id, ...ending, record: ended, claimedAt });
    const removals = entries.map((entry) => op.remove(this.#pathOf(entry), entry.revision));
    const folders = entries.map((entry) => this.#layout.historyOf(entry.lock));
    const records = folders.map((folder) => op.create(`${folder}/${RECORD_PREFIX}`, record, MODE.PERSISTENT_SEQUENTIAL));
    let alive = [op.remove(this.#layout.aliveOf(id))];
    for (;;) {
      const outcome = await this.#commit(wire, [...removals, ...alive, ...records], removals.length);
      if (outcome === "repair") {
        // Without a liveness entry there is none to delete: the session that it belonged to has ended.
        if ((await wire.exists(this.#layout.aliveOf(id))) === null) alive = [];
        for (const folder of folders) await ensure(wire, folder);
        continue;
      }
      if (outcome === "gone" || outcome === "changed") return this.#ofAll(wire, entries, outcome);
      const paths = outcome.slice(-records.length) as string[];
      const { historyKeep, log } = this.#options;
      paths.forEach((path, index) => void trimHistory(wire, folders[index] as string, path, historyKeep, log));
      return "done";
    }
  }

  async #readHolding(wire: Wire, entries: readonly Entry[]): Promise<Holding | null> {
    const node = await wire.getData(this.#pathOf(entries[0] as Entry));
    if (node === null) return null;
    return { entries, record: decodeClaim(node.data)?.record ?? foreignRecord(node.data), claimedAt: node.stat.ctime };
  }

  /** The claim is not there after a lost reply: the history knows whether it was this leave, or someone else's. */
  async #findLeft(wire: Wire, id: string, entries: readonly Entry[], ending: Ending): Promise<WriteOutcome | "unwritten"> {
    await readClock(wire, this.#layout);
    const stats = await Promise.all(entries.map((entry) => wire.exists(this.#pathOf(entry))));
    if (stats.every((stat, index) => stat?.version === entries[index]?.revision)) return "unwritten";
    if (!stats.includes(null)) return "changed";
    const { historyKeep } = this.#options;
    const records = await readHistory(wire, this.#layout, (entries[0] as Entry).lock, historyKeep, historyKeep);
    const own = records.find((record) => record.claim === id && record.event === ending.event && record.by === ending.by);
    return own === undefined ? "gone" : "done";
  }

  /**
   * Commits a transaction whose first `guarded` steps are conditional on the claims. What fails there is an outcome;
   * what fails behind them is put right by the caller, which then tries again.
   */
  async #commit(
    wire: Wire,
    steps: readonly Step[],
    guarded: number,
  ): Promise<readonly (string | null)[] | "gone" | "changed" | "repair"> {
    try {
      return (await wire.transaction(steps)).paths;
    } catch (error) {
      if (!(error instanceof WireError) || error.operation === null) throw error;
      if (error.zk !== ZK.noNode && error.zk !== ZK.badVersion && error.zk !== ZK.nodeExists) throw error;
      if (error.operation >= guarded) return "repair";
      return error.zk === ZK.noNode ? "gone" : "changed";
    }
  }

  /** A claim on several locks is gone when all of its entries are. */
  async #ofAll(wire: Wire, entries: readonly Entry[], outcome: "gone" | "changed"): Promise<"gone" | "changed"> {
    if (outcome === "changed" || entries.length === 1) return outcome;
    const stats = await Promise.all(entries.map((entry) => wire.exists(this.#pathOf(entry))));
    return stats.every((stat) => stat === null) ? "gone" : "changed";
  }

  #pathOf({ lock, ref }: Entry): string {
    return `${this.#layout.lock(lock)}/${ref}`;
  }
}
