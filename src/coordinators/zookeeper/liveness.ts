// The claims that this process has in hand, and their liveness entries: ephemeral, so that they go with the session, and
// put back in the next one. Leases are in nobody's hand: a person's claim depends on no process, and has no such entry.
import type { ClaimRecord } from "../../locks/claim.js";
import type { EntryRef, Log } from "../../locks/coordinator.js";
import { bestEffort } from "../../locks/errors.js";
import type { Layout } from "./layout.js";
import { decodeClaim, fencingTokenOf } from "./records.js";
import type { ZkSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import type { Step } from "./protocol.js";
import { MODE, op, type WireError } from "./protocol.js";
import { commit, ensure, isRefusal } from "./upkeep.js";

const EMPTY = Buffer.alloc(0);

// How often one attempt to put an entry back goes on where others write to the claim meanwhile, or the entry is refused. The
// next connection brings the next attempt.
const MOST_TRIES = 5;

/** What is known of a durable claim. */
export interface Holding {
  readonly entries: readonly EntryRef[];
  readonly record: ClaimRecord;
  readonly claimedAt: number;
  /** Whoever takes the claim over gets another: while it is this one, the holder is the same. */
  readonly fencingToken: number;
}

export class Liveness {
  readonly #sessions: Sessions;
  readonly #layout: Layout;
  readonly #log: Log;
  readonly #held = new Map<string, Holding>();

  constructor(sessions: Sessions, layout: Layout, log: Log) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#log = log;
  }

  /** What this process knows of a claim that it has in hand, if that is of these revisions: others may have written to it since. */
  of(id: string, entries: readonly EntryRef[]): Holding | undefined {
    const holding = this.#held.get(id);
    return entries.every(({ ref, revision }) => holding?.entries.some((held) => held.ref === ref && held.revision === revision))
      ? holding
      : undefined;
  }

  /** This process has the claim in hand from now on, unless it is a lease. */
  take(id: string, holding: Holding): void {
    if (holding.record.lease === null) this.#held.set(id, holding);
    else this.#held.delete(id);
  }

  /** A claim has been written to: what is known of it is brought up to date where it is in hand. */
  note(id: string, holding: Holding): void {
    if (this.#held.has(id)) this.take(id, holding);
  }

  drop(id: string): void {
    this.#held.delete(id);
  }

  /** The step of a transaction that says that this process runs the claim; none for a lease. */
  begin(id: string, { lease }: ClaimRecord): readonly Step[] {
    return lease === null ? [op.create(this.#layout.aliveOf(id), EMPTY, MODE.EPHEMERAL)] : [];
  }

  /** The step that takes that back. */
  end(id: string, { lease }: ClaimRecord): readonly Step[] {
    return lease === null ? [op.remove(this.#layout.aliveOf(id))] : [];
  }

  /** After a session was lost: says again, in the new one, that the claims in hand are being run. */
  restoreAll(): void {
    for (const id of this.#held.keys()) this.restore(id);
  }

  restore(id: string): void {
    if (!this.#held.has(id)) return;
    void bestEffort(this.#log, "the liveness entry was not restored: the claim looks stale until it is", () =>
      this.#sessions.retry(undefined, async (session) => {
        const holding = this.#held.get(id);
        if (holding !== undefined) await this.#put(session, id, holding);
      }),
    );
  }

  /** Says that this process runs the claim, in its present session; only as long as the claim is still this process's. */
  async #put(session: ZkSession, id: string, first: Holding): Promise<void> {
    const { wire } = session;
    const alive = this.#layout.aliveOf(id);
    let holding = first;
    let refused: WireError | null = null;
    for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
      const present = await wire.exists(alive);
      if (present?.ephemeralOwner === session.id) return;
      const checks = holding.entries.map(({ lock, ref, revision }) => op.check(`${this.#layout.lock(lock)}/${ref}`, revision));
      const steps = [...(present === null ? [] : [op.remove(alive)]), ...this.begin(id, holding.record)];
      const outcome = await commit(wire, [...checks, ...steps], checks.length);
      if (outcome === "changed") {
        const renewed = await this.#readAgain(session, holding);
        if (renewed === null) return;
        this.note(id, renewed);
        holding = renewed;
      } else if (isRefusal(outcome)) {
        refused = outcome.error;
        await ensure(wire, this.#layout.alive);
      } else return;
    }
    throw refused ?? new Error(`the claim ${id} was written to at each of ${MOST_TRIES} tries`);
  }

  /** What others have made of a claim that is still this process's, its data say; `null` when it is not, or nothing was written. */
  async #readAgain({ wire }: ZkSession, holding: Holding): Promise<Holding | null> {
    const entries: EntryRef[] = [];
    let record: ClaimRecord | null = null;
    for (const { lock, ref } of holding.entries) {
      const node = await wire.getData(`${this.#layout.lock(lock)}/${ref}`);
      const claim = node === null ? null : decodeClaim(node.data);
      if (node === null || claim === null || fencingTokenOf(claim, node.stat) !== holding.fencingToken) return null;
      record = claim.record;
      entries.push({ lock, ref, revision: node.stat.version });
    }
    const isRenewed = entries.some(({ revision }, index) => revision !== holding.entries[index]?.revision);
    return record === null || !isRenewed ? null : { ...holding, entries, record };
  }
}
