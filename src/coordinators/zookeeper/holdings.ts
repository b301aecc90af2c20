// Durable claims: settle, adopt and update, each one transaction whose lost reply is looked up and never guessed. Ending them
// is leaving.ts's; which of them this process has in hand is liveness.ts's.
import type { ClaimRecord } from "../../locks/claim.js";
import type { CoordinatorOptions, Draft, EntryRef, JustSettled, Keeping, Settled } from "../../locks/coordinator.js";
import { ClaimLostError, SessionLostError } from "../../locks/errors.js";
import type { Background } from "./background.js";
import type { Folders } from "./folders.js";
import type { Layout } from "./layout.js";
import { Leaving } from "./leaving.js";
import { Liveness } from "./liveness.js";
import { encodeClaim } from "./records.js";
import type { ZkSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import {
  commit,
  ensure,
  isDurable,
  isRefusal,
  outcomeOfAll,
  readClock,
  removeIfThere,
  removeUnsettled,
  SETTLED,
  UNSETTLED,
} from "./upkeep.js";
import type { Stat, Step } from "./protocol.js";
import type { Wire } from "./wire.js";
import { MODE, op, WireError, ZK } from "./protocol.js";

const EMPTY = Buffer.alloc(0);

// A takeover meets the dead owner's liveness entry, which may go by itself between the look and the write: two repairs for
// that, and one for a folder that is missing.
const MOST_REPAIRS = 3;

export class Holdings {
  readonly #sessions: Sessions;
  readonly #layout: Layout;
  readonly #liveness: Liveness;
  /** Ending the claims. */
  readonly leaving: Leaving;

  constructor(sessions: Sessions, layout: Layout, folders: Folders, background: Background, options: CoordinatorOptions) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#liveness = new Liveness(sessions, layout, options.log);
    this.leaving = new Leaving(sessions, layout, this.#liveness, folders, background, options);
  }

  /** After a session was lost: says again, in the new one, that the claims in hand are being run. */
  restoreLiveness(): void {
    this.#liveness.restoreAll();
  }

  async settle(
    draft: Draft,
    entries: readonly EntryRef[],
    home: ZkSession,
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<JustSettled> {
    const paths = entries.map((entry) => this.#pathOf(entry));
    let again = false;
    const stats = await this.#sessions.retry(signal, async (session) => {
      const found = again || session !== home ? await this.#findSettled(session, home, paths) : null;
      again = true;
      return found ?? this.#commitSettle(session.wire, draft.id, paths, record);
    });
    const [first] = stats as [Stat];
    // As it was settled, which is all that is known of it: others may have written to it since.
    const held = entries.map(({ lock, ref }) => ({ lock, ref, revision: SETTLED }));
    const settled = { entries: held, fencingToken: first.czxid };
    this.#liveness.take(draft.id, { ...settled, record, claimedAt: first.ctime });
    if (home.lost.aborted) this.#liveness.restore(draft.id);
    return { ...settled, since: first.ctime };
  }

  /** @param mayRepair whether a refused liveness entry may be put right, which is done once */
  async #commitSettle(wire: Wire, id: string, paths: readonly string[], record: ClaimRecord, mayRepair = true): Promise<Stat[]> {
    const data = encodeClaim({ record, fencingToken: null });
    const steps = paths.flatMap((path) => [
      op.remove(path, UNSETTLED),
      op.create(path, EMPTY, MODE.PERSISTENT),
      op.setData(path, data, UNSETTLED),
    ]);
    try {
      const done = await wire.transaction([...steps, ...this.#liveness.begin(id, record)]);
      return done.slice(0, steps.length).flatMap(({ stat }) => (stat === null ? [] : [stat]));
    } catch (error) {
      if (!(error instanceof WireError) || error.operation === null) throw error;
      const present = await Promise.all(paths.map((path) => wire.exists(path)));
      // Settled already, by an earlier call.
      if (present.every(isDurable)) return present as Stat[];
      if (error.operation === steps.length && mayRepair) {
        await removeIfThere(wire, this.#layout.aliveOf(id));
        await ensure(wire, this.#layout.alive);
        return this.#commitSettle(wire, id, paths, record, false);
      }
      if (error.operation >= steps.length) throw error;
      if (error.zk === ZK.noNode || error.zk === ZK.badVersion)
        throw new ClaimLostError(`the claim ${id} was taken out of its queue before it was settled`);
      throw error;
    }
  }

  /**
   * Was it settled although the reply was lost? `null` when it was not and can still be.
   * @throws SessionLostError when it was not and its session is gone; it cannot be settled later from a server that was slow
   */
  async #findSettled(session: ZkSession, home: ZkSession, paths: readonly string[]): Promise<Stat[] | null> {
    await readClock(session.wire, this.#layout);
    const stats = await Promise.all(paths.map((path) => session.wire.exists(path)));
    if (stats.every(isDurable)) return stats as Stat[];
    if (session === home) return null;
    // A transaction that is still under way fails once what it would delete is gone.
    for (const path of paths) await removeUnsettled(session.wire, path);
    throw home.lost.reason instanceof SessionLostError
      ? home.lost.reason
      : new SessionLostError("the session was lost before the claim was settled");
  }

  /** Removes what a settle that failed may have left: nothing has been done under it, and nobody else has taken it up. */
  async undoSettle(wire: Wire, entries: readonly EntryRef[]): Promise<void> {
    for (const path of entries.map((entry) => this.#pathOf(entry))) {
      await removeUnsettled(wire, path);
      if (isDurable(await wire.exists(path))) await removeIfThere(wire, path, SETTLED);
    }
  }

  adopt(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    return this.#write(id, entries, record, null, signal);
  }

  update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed"> {
    return this.#write(id, settled.entries, record, settled.fencingToken, signal, keeping);
  }

  /**
   * @param keptToken the fencing token of a holder that stays; `null` when this process takes its place, with a new one
   * @param keeping what the history is told of it
   */
  async #write(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    keptToken: number | null,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed"> {
    const takeover = keptToken === null;
    const data = encodeClaim({ record, fencingToken: keptToken });
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
      let withAlive = takeover ? this.#liveness.begin(id, record) : [];
      let records = keeping === undefined ? [] : await this.#recordsOf(wire, id, entries, record, keeping);
      let outcome = await commit(wire, [...steps, ...withAlive, ...records], steps.length);
      for (let repairs = 1; isRefusal(outcome); repairs += 1) {
        if (repairs > MOST_REPAIRS) throw outcome.error;
        if (outcome.step >= steps.length + withAlive.length) {
          if (repairs === 1) await this.leaving.repairHistory(wire, outcome);
          else {
            records = [];
            this.leaving.warnUnrecorded(id, entries, "has failed", outcome);
          }
          outcome = await commit(wire, [...steps, ...withAlive, ...records], steps.length);
          continue;
        }
        // The dead owner's liveness entry may still stand until its session expires.
        withAlive = (await wire.exists(alive)) === null ? withAlive.slice(-1) : [op.remove(alive), ...withAlive.slice(-1)];
        await ensure(wire, this.#layout.alive);
        outcome = await commit(wire, [...steps, ...withAlive, ...records], steps.length);
      }
      if (outcome === "gone" || outcome === "changed") return outcomeOfAll(wire, paths, outcome);
      this.leaving.trimBehind(wire, outcome.slice(steps.length + withAlive.length) as string[]);
      const found = await this.#findWritten(wire, entries, data);
      return found === "unwritten" ? "changed" : found;
    });
    if (typeof written === "string") return written;
    const [first] = written as [Stat];
    const held = entries.map(({ lock, ref, revision }) => ({ lock, ref, revision: revision + 1 }));
    const settled = { entries: held, fencingToken: keptToken ?? first.mzxid };
    const holding = { ...settled, record, claimedAt: first.ctime };
    // Whoever only writes to another's claim, its data say, does not run it by that.
    if (takeover) this.#liveness.take(id, holding);
    else this.#liveness.note(id, holding);
    if (takeover && attempts > 1) this.#liveness.restore(id);
    return settled;
  }

  async #recordsOf(
    wire: Wire,
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    keeping: Keeping,
  ): Promise<readonly Step[]> {
    const claimedAt =
      this.#liveness.of(id, entries)?.claimedAt ?? (await wire.exists(this.#pathOf(entries[0] as EntryRef)))?.ctime ?? 0;
    return this.leaving.recordSteps(entries, { claim: id, ...keeping, record, claimedAt, isKept: true });
  }

  /** After a write: do the entries hold just what it wrote? */
  async #findWritten(wire: Wire, entries: readonly EntryRef[], data: Buffer): Promise<Stat[] | "gone" | "changed" | "unwritten"> {
    const nodes = await Promise.all(entries.map((entry) => wire.getData(this.#pathOf(entry))));
    if (nodes.includes(null)) return "gone";
    const stats = nodes.map((node) => (node as { readonly stat: Stat }).stat);
    if (entries.every((entry, index) => (stats[index] as Stat).version === entry.revision)) return "unwritten";
    const ours = entries.every(
      (entry, index) => stats[index]?.version === entry.revision + 1 && nodes[index]?.data === data.toString(),
    );
    return ours ? stats : "changed";
  }

  #pathOf({ lock, ref }: EntryRef): string {
    return `${this.#layout.lock(lock)}/${ref}`;
  }
}
