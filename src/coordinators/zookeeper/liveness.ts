// The durable claims that this process has in hand, and their liveness entries: ephemeral, so they go with the session, and this process
// puts them back in the next one. A lease has no liveness entry, because a person's claim depends on no process.
import type { ClaimRecord } from "../../locks/claim.js";
import type { EntryRef } from "../../locks/coordinator.js";
import type { Log } from "../../locks/log.js";
import { bestEffort } from "../../locks/errors.js";
import type { Layout } from "./layout.js";
import { decodeClaim, fencingTokenOf } from "./records.js";
import type { ZkSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import type { Step } from "./wire/protocol.js";
import { MODE, op, type WireError } from "./wire/protocol.js";
import { commit, ensure, isRefusal } from "./writes.js";

const EMPTY = Buffer.alloc(0);

// How often one attempt to put an entry back tries again because others write to the claim meanwhile, or the server refuses the entry.
// The next connection brings the next attempt.
const MOST_TRIES = 5;

/** A durable claim as this process knows it. */
export interface ClaimInHand {
  readonly entries: readonly EntryRef[];
  readonly record: ClaimRecord;
  readonly claimedAt: number;
  /** Taking the claim over changes it: while it is this one, the holder is the same. */
  readonly fencingToken: number;
  /** The write that has adopted it; `null` where nobody has. */
  readonly adoption: string | null;
}

export class Liveness {
  readonly #sessions: Sessions;
  readonly #layout: Layout;
  readonly #log: Log;
  readonly #held = new Map<string, ClaimInHand>();

  constructor(sessions: Sessions, layout: Layout, log: Log) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#log = log;
  }

  /** A claim that this process has in hand, if it knows it at these revisions: others may have written to it since. */
  inHand(id: string, entries: readonly EntryRef[]): ClaimInHand | undefined {
    const claim = this.#held.get(id);
    return entries.every(({ ref, revision }) => claim?.entries.some((held) => held.ref === ref && held.revision === revision))
      ? claim
      : undefined;
  }

  /** This process has the claim in hand from now on, unless it is a lease. */
  take(id: string, claim: ClaimInHand): void {
    if (claim.record.lease === null) this.#held.set(id, claim);
    else this.#held.delete(id);
  }

  /** This process has written to a claim, which it may or may not have in hand. */
  onWritten(id: string, claim: ClaimInHand): void {
    if (this.#held.has(id)) this.take(id, claim);
  }

  drop(id: string): void {
    this.#held.delete(id);
  }

  /** The step that creates the liveness entry; none for a lease. */
  beginSteps(id: string, { lease }: ClaimRecord): readonly Step[] {
    return lease === null ? [op.create(this.#layout.aliveOf(id), EMPTY, MODE.EPHEMERAL)] : [];
  }

  /** The step that deletes it. */
  endSteps(id: string, { lease }: ClaimRecord): readonly Step[] {
    return lease === null ? [op.remove(this.#layout.aliveOf(id))] : [];
  }

  /** After a lost session: puts the liveness entries of all claims in hand back, in the new one. */
  restoreAll(): void {
    for (const id of this.#held.keys()) this.restore(id);
  }

  restore(id: string): void {
    if (!this.#held.has(id)) return;
    void bestEffort(this.#log, "the liveness entry was not restored: the claim looks stale until it is", () =>
      this.#sessions.retry(undefined, async (session) => {
        const claim = this.#held.get(id);
        if (claim !== undefined) await this.#put(session, id, claim);
      }),
    );
  }

  /** Creates the liveness entry in the present session, but only while the claim is still this process's. */
  async #put(session: ZkSession, id: string, first: ClaimInHand): Promise<void> {
    const { wire } = session;
    const alive = this.#layout.aliveOf(id);
    let claim = first;
    let refused: WireError | null = null;
    for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
      const present = await wire.exists(alive);
      if (present?.ephemeralOwner === session.id) return;
      const checks = claim.entries.map((entry) => op.check(this.#layout.entry(entry), entry.revision));
      const steps = [...(present === null ? [] : [op.remove(alive)]), ...this.beginSteps(id, claim.record)];
      const outcome = await commit(wire, [...checks, ...steps], checks.length);
      if (outcome === "changed") {
        const rewritten = await this.#fetchRewritten(session, claim);
        if (rewritten === null) return;
        this.onWritten(id, rewritten);
        claim = rewritten;
      } else if (isRefusal(outcome)) {
        refused = outcome.error;
        await ensure(wire, this.#layout.alive);
      } else return;
    }
    throw refused ?? new Error(`the claim ${id} was written to at each of ${MOST_TRIES} tries`);
  }

  /** A claim as others have rewritten it, while its data say that it is still this process's; `null` when it is not, or nobody has written to it. */
  async #fetchRewritten({ wire }: ZkSession, claim: ClaimInHand): Promise<ClaimInHand | null> {
    const entries: EntryRef[] = [];
    let record: ClaimRecord | null = null;
    for (const { lock, ref } of claim.entries) {
      const node = await wire.getData(this.#layout.entry({ lock, ref }));
      const written = node === null ? null : decodeClaim(node.data);
      if (node === null || written === null || fencingTokenOf(written, node.stat) !== claim.fencingToken) return null;
      record = written.record;
      entries.push({ lock, ref, revision: node.stat.version });
    }
    const isRewritten = entries.some(({ revision }, index) => revision !== claim.entries[index]?.revision);
    return record === null || !isRewritten ? null : { ...claim, entries, record };
  }
}
