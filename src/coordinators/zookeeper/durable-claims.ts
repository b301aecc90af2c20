// Durable claims: settle, adopt and update, each one transaction. After a lost reply this file looks up what happened and never guesses.
// leaving.ts ends durable claims, and liveness.ts knows which of them this process has in hand.
import { randomUUID } from "node:crypto";
import type { ClaimRecord } from "../../locks/claim.js";
import type { CoordinatorOptions, Draft, EntryRef, JustSettled, Settled } from "../../locks/coordinator.js";
import type { DocumentCheck } from "../../locks/documents.js";
import type { Keeping } from "../../locks/history.js";
import { ClaimLostError, DocumentChangedError, SessionLostError } from "../../locks/errors.js";
import type { Documents } from "./documents.js";
import type { Layout } from "./layout.js";
import { Leaving, type LeavingParts } from "./leaving.js";
import { Liveness } from "./liveness.js";
import type { Recording } from "./recording.js";
import { decodeClaim, encodeClaim, encodeFirst, fencingTokenOf } from "./records.js";
import type { ZkSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import {
  commit,
  ensure,
  isDurable,
  isRefusal,
  outcomeOfAll,
  type Refusal,
  sync,
  removeIfThere,
  removeUnsettled,
  SETTLED,
  UNSETTLED,
} from "./writes.js";
import { describeRefusal } from "./wire/errors.js";
import type { Stat, Step } from "./wire/protocol.js";
import type { Wire } from "./wire/wire.js";
import { MODE, op, WireError, ZK } from "./wire/protocol.js";

const EMPTY = Buffer.alloc(0);

// A takeover meets the dead owner's liveness entry, which may vanish between the look and the write: two repairs for that, and one for a
// folder that is missing.
const MOST_REPAIRS = 3;

export class DurableClaims {
  readonly #sessions: Sessions;
  readonly #layout: Layout;
  readonly #liveness: Liveness;
  readonly #documents: Documents;
  readonly #recording: Recording;
  readonly #log: CoordinatorOptions["log"];
  /** Ends durable claims. */
  readonly leaving: Leaving;

  constructor(sessions: Sessions, layout: Layout, parts: LeavingParts, log: CoordinatorOptions["log"]) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#documents = parts.documents;
    this.#recording = parts.recording;
    this.#log = log;
    this.#liveness = new Liveness(sessions, layout, log);
    this.leaving = new Leaving(sessions, layout, this.#liveness, parts, log);
  }

  /** After a lost session: puts the liveness entries of the claims in hand back. */
  restoreLiveness(): void {
    this.#liveness.restoreAll();
  }

  async settle(
    draft: Draft,
    entries: readonly EntryRef[],
    joinedIn: ZkSession,
    record: ClaimRecord,
    checks: readonly DocumentCheck[],
    signal?: AbortSignal,
  ): Promise<JustSettled> {
    const paths = entries.map((entry) => this.#layout.entry(entry));
    let isRetry = false;
    const stats = await this.#sessions.retry(signal, async (session) => {
      const found = isRetry || session !== joinedIn ? await this.#findSettled(session, joinedIn, paths) : null;
      isRetry = true;
      return found ?? this.#commitSettle(session.wire, draft.id, paths, record, checks);
    });
    const [first] = stats as [Stat];
    // The revision is the one that settling gave it: others may have written to it since.
    const held = entries.map(({ lock, ref }) => ({ lock, ref, revision: SETTLED }));
    const settled = { entries: held, fencingToken: first.czxid };
    this.#liveness.take(draft.id, { ...settled, record, adoption: null, claimedAt: first.ctime });
    if (joinedIn.lost.aborted) this.#liveness.restore(draft.id);
    return { ...settled, since: first.ctime };
  }

  /** @param mayRepair whether to repair a refused liveness entry, which is tried once */
  async #commitSettle(
    wire: Wire,
    id: string,
    paths: readonly string[],
    record: ClaimRecord,
    checks: readonly DocumentCheck[],
    mayRepair = true,
  ): Promise<Stat[]> {
    const data = encodeFirst(record);
    const steps = paths.flatMap((path) => [
      op.remove(path, UNSETTLED),
      op.create(path, EMPTY, MODE.PERSISTENT),
      op.setData(path, data, UNSETTLED),
    ]);
    const withAlive = [...steps, ...this.#liveness.beginSteps(id, record)];
    const checked = await this.#documents.checkSteps(wire, checks);
    try {
      const done = await wire.transaction([...withAlive, ...checked]);
      return done.slice(0, steps.length).flatMap(({ stat }) => (stat === null ? [] : [stat]));
    } catch (error) {
      if (!(error instanceof WireError) || error.operation === null) throw error;
      const present = await Promise.all(paths.map((path) => wire.exists(path)));
      // An earlier call has settled it already.
      if (present.every(isDurable)) return present as Stat[];
      const changed = checks[error.operation - withAlive.length];
      if (changed !== undefined && (error.zk === ZK.badVersion || error.zk === ZK.noNode)) {
        if (!(await this.#documents.isStillAbsent(wire, changed))) throw new DocumentChangedError(changed.name);
        return this.#commitSettle(wire, id, paths, record, checks, mayRepair);
      }
      if (error.operation === steps.length && mayRepair) {
        await removeIfThere(wire, this.#layout.aliveOf(id));
        await ensure(wire, this.#layout.alive);
        return this.#commitSettle(wire, id, paths, record, checks, false);
      }
      if (error.operation >= steps.length) throw error;
      if (error.zk === ZK.noNode || error.zk === ZK.badVersion)
        throw new ClaimLostError(`the claim ${id} was taken out of its queue before it was settled`);
      throw error;
    }
  }

  /**
   * The claim as it was settled although the reply was lost; `null` when it was not settled and still can be.
   * @throws SessionLostError when it was not settled and its session is gone. A transaction that is still under way can settle it no more
   */
  async #findSettled(session: ZkSession, joinedIn: ZkSession, paths: readonly string[]): Promise<Stat[] | null> {
    await sync(session.wire, this.#layout);
    const stats = await Promise.all(paths.map((path) => session.wire.exists(path)));
    if (stats.every(isDurable)) return stats as Stat[];
    if (session === joinedIn) return null;
    // A transaction that is still under way fails once the entry that it would delete is gone.
    for (const path of paths) await removeUnsettled(session.wire, path);
    throw joinedIn.lost.reason instanceof SessionLostError
      ? joinedIn.lost.reason
      : new SessionLostError("the session was lost before the claim was settled");
  }

  /** Removes a claim that a failed settle may have left. Nothing has run under it, and nobody else has adopted it. */
  async undoSettle(wire: Wire, entries: readonly EntryRef[]): Promise<void> {
    for (const path of entries.map((entry) => this.#layout.entry(entry))) {
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
   * @param keptToken the fencing token of a holder that stays; `null` when this process becomes the holder, with a new token
   * @param keeping the event that the history records
   */
  async #write(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    keptToken: number | null,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed"> {
    const isTakeover = keptToken === null;
    const write = randomUUID();
    const adoption = isTakeover ? write : await this.#adoptionOf(id, entries, record, signal);
    const data = encodeClaim({ record, fencingToken: keptToken, write, adoption });
    const find = (wire: Wire) => this.#findWritten(wire, entries, write, isTakeover);
    const paths = entries.map((entry) => this.#layout.entry(entry));
    const steps = entries.map((entry, index) => op.setData(paths[index] as string, data, entry.revision));
    const alive = this.#layout.aliveOf(id);
    let attempts = 0;
    const written = await this.#sessions.retry(signal, async ({ wire }): Promise<Written | "gone" | "changed"> => {
      attempts += 1;
      if (attempts > 1) {
        await sync(wire, this.#layout);
        const found = await find(wire);
        if (found !== "unwritten") return found;
      }
      let withAlive = isTakeover ? this.#liveness.beginSteps(id, record) : [];
      let records = keeping === undefined ? [] : await this.#recordsOf(wire, id, entries, record, keeping);
      let outcome = await commit(wire, [...steps, ...withAlive, ...records], steps.length);
      for (let repairs = 1; isRefusal(outcome); repairs += 1) {
        if (repairs > MOST_REPAIRS) throw outcome.error;
        if (outcome.step >= steps.length + withAlive.length) {
          if (repairs === 1) await this.#recording.repair(wire, outcome);
          else {
            records = [];
            this.#warnUnrecorded(id, entries, outcome);
          }
          outcome = await commit(wire, [...steps, ...withAlive, ...records], steps.length);
          continue;
        }
        // The dead owner's liveness entry stays until its session expires.
        withAlive = (await wire.exists(alive)) === null ? withAlive.slice(-1) : [op.remove(alive), ...withAlive.slice(-1)];
        await ensure(wire, this.#layout.alive);
        outcome = await commit(wire, [...steps, ...withAlive, ...records], steps.length);
      }
      if (outcome === "gone" || outcome === "changed") {
        // What was sent before a lost reply may have arrived only after it was looked for.
        const late = attempts > 1 && outcome === "changed" ? await find(wire) : "unwritten";
        return late === "unwritten" ? outcomeOfAll(wire, paths, outcome) : late;
      }
      this.#recording.trimBehind(wire, outcome.slice(steps.length + withAlive.length) as string[]);
      const found = await find(wire);
      return found === "unwritten" ? "changed" : found;
    });
    if (typeof written === "string") return written;
    const held = entries.map(({ lock, ref, revision }) => ({ lock, ref, revision: revision + 1 }));
    const settled = { entries: held, fencingToken: keptToken ?? written.fencingToken };
    const inHand = { ...settled, record, adoption, claimedAt: written.claimedAt };
    // Writing to another process's claim does not make it this process's.
    if (isTakeover) this.#liveness.take(id, inHand);
    else this.#liveness.onWritten(id, inHand);
    if (isTakeover && attempts > 1) this.#liveness.restore(id);
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
      this.#liveness.inHand(id, entries)?.claimedAt ?? (await wire.exists(this.#layout.entry(entries[0] as EntryRef)))?.ctime ?? 0;
    const locks = entries.map(({ lock }) => lock);
    return this.#recording.stepsFor(locks, { claim: id, ...keeping, record, claimedAt, isKept: true });
  }

  #warnUnrecorded(id: string, entries: readonly EntryRef[], { error }: Refusal): void {
    const locks = entries.map(({ lock }) => lock);
    const why = describeRefusal(error);
    this.#log.warn(
      { claim: id, locks },
      `the claim on ${locks.join(", ")} has failed, but its history has no record of that: ${why}`,
    );
  }

  /** The write that made the present holder, for a later write to carry along. Nobody adopts a lease. */
  async #adoptionOf(
    id: string,
    entries: readonly EntryRef[],
    { lease }: ClaimRecord,
    signal: AbortSignal | undefined,
  ): Promise<string | null> {
    const known = this.#liveness.inHand(id, entries);
    if (known !== undefined || lease !== null) return known?.adoption ?? null;
    const path = this.#layout.entry(entries[0] as EntryRef);
    const node = await this.#sessions.retry(signal, ({ wire }) => wire.getData(path));
    return node === null ? null : (decodeClaim(node.data)?.adoption ?? null);
  }

  /** After a write: whether the entries are as that write has left them. Others may have written to an adopted claim since. */
  async #findWritten(
    wire: Wire,
    entries: readonly EntryRef[],
    write: string,
    isTakeover: boolean,
  ): Promise<Written | "gone" | "changed" | "unwritten"> {
    const nodes = await Promise.all(entries.map((entry) => wire.getData(this.#layout.entry(entry))));
    if (nodes.includes(null)) return "gone";
    const found = nodes as readonly ClaimNode[];
    if (entries.every(({ revision }, index) => found[index]?.stat.version === revision)) return "unwritten";
    const claims = found.map(({ data }) => decodeClaim(data));
    if (!claims.every((claim) => (isTakeover ? claim?.adoption : claim?.write) === write)) return "changed";
    const [{ stat }] = found as [ClaimNode];
    return { fencingToken: fencingTokenOf(claims[0] ?? null, stat), claimedAt: stat.ctime };
  }
}

/** A claim as a write has left it. */
interface Written {
  readonly fencingToken: number;
  readonly claimedAt: number;
}

interface ClaimNode {
  readonly data: string;
  readonly stat: Stat;
}
