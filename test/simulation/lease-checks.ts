// What must be true of leases: how long they last, by the store's clock; who ends them and who writes to them; and that
// everybody who asks something of one hears what has happened.
import type { Acquired } from "../../src/leases/acquiring.js";
import type { Released, Renewed } from "../../src/leases/lease.js";
import { isObject } from "../../src/locks/claim.js";
import type { Ending } from "../../src/locks/history.js";
import type { Deed } from "./lease-jobs.js";
import type { SeenEntry } from "./store.js";
import type { Stories, Story } from "./stories.js";
import type { World } from "./world.js";

/** What somebody asks for. */
interface Question {
  readonly kind: "acquire" | Deed["kind"];
  /** `null`: it is yet to be made. */
  readonly claim: string | null;
  readonly ttlMs: number | null;
  readonly alone: boolean;
  /** Also where the lease is another principal's. */
  readonly forced: boolean;
}

/** A question, when it was asked, and what has come of it so far. */
interface Ask extends Question {
  readonly sinceMs: number;
  readonly sinceRevision: number;
  /** The entry that the store has written to, or ended, because of it, as it was then. */
  done: SeenEntry | null;
}

/** What somebody hears. */
export type Told = Acquired | Renewed | { readonly outcome: Released | "changed" | "is held" | "refused" };

export class LeaseChecks {
  readonly #world: World;
  readonly #stories: Stories;
  readonly #fail: (what: string) => void;
  /** What each process has asked last. */
  readonly #asks = new Map<string, Ask>();

  constructor(world: World, stories: Stories, fail: (what: string) => void) {
    this.#world = world;
    this.#stories = stories;
    this.#fail = fail;
  }

  asked(by: string, question: Question): void {
    const { store } = this.#world;
    this.#asks.set(by, { ...question, sinceMs: store.now(), sinceRevision: store.revision, done: null });
  }

  settled(entries: readonly SeenEntry[], by: string): void {
    const ask = this.#asks.get(by);
    const [entry] = entries as [SeenEntry];
    const name = this.#stories.nameOf(entry.id);
    if (ask?.kind !== "acquire") return this.#fail(`${by} settles ${name}, a lease that it has not asked for`);
    if (entry.record?.owner.process !== null) this.#fail(`${by} settles ${name}, a lease that belongs to a process`);
    this.#demandTime(entry, ask, `${by} settles ${name}`);
    for (const { lock, ref } of entries) {
      if (ask.alone && this.#world.store.stored(lock)[0]?.ref !== ref) this.#fail(`${by} settles ${name} beside others on ${lock}`);
    }
    ask.done = entry.copy();
  }

  /** Somebody who is not a claim's owner writes to it. */
  updated(entry: SeenEntry, before: SeenEntry, by: string): void {
    const ask = this.#asks.get(by);
    const writes = `${by} writes to ${this.#stories.nameOf(entry.id)}`;
    if (ask?.claim !== entry.id || (ask.kind !== "renew" && ask.kind !== "change"))
      return this.#fail(`${writes}, which it has not asked for`);
    const [now, then] = [entry.record, before.record];
    // Where others have written meanwhile it cannot find what it has written, and writes it again.
    if (ask.done !== null && ask.done.revision === before.revision) this.#fail(`${writes} twice, which it has asked for once`);
    if (ask.kind === "renew") {
      this.#demandRight(before, ask, by, writes);
      if (then?.lease == null) this.#fail(`${writes}, which is no lease`);
      this.#demandTime(entry, ask, writes);
      const decidedAt = now?.expiresAt == null || ask.ttlMs === null ? ask.sinceMs : now.expiresAt - ask.ttlMs;
      if (isOverAt(before, decidedAt)) this.#fail(`${writes}, whose time was over`);
      if (changesIn(now?.data) !== changesIn(then?.data)) this.#fail(`${writes} and loses a change of its data`);
    } else {
      if (now?.expiresAt !== then?.expiresAt) this.#fail(`${writes} and gives it another time`);
      if (changesIn(now?.data) !== changesIn(then?.data) + 1) this.#fail(`${writes} and loses a change of its data`);
    }
    ask.done = entry.copy();
  }

  /** A durable claim ends on one of its locks. */
  ended(entry: SeenEntry, ending: Ending, by: string): void {
    const name = this.#stories.nameOf(entry.id);
    if (ending.event === "expired") {
      if (!isOverAt(entry, this.#world.store.now()))
        this.#fail(`${by} has ${name} expire on ${entry.lock} before its time is over`);
      if (ending.by !== null || ending.endedAt !== entry.record?.expiresAt)
        this.#fail(`${by} has recorded that it ended ${name} on ${entry.lock}, whose time was over`);
      return;
    }
    if (entry.record?.lease == null || ending.event === "cleared") return;
    const ask = this.#asks.get(by);
    const isAsked = ask?.claim === entry.id && (ask.kind === "release" || ask.kind === "unlock");
    if (!isAsked || ending.event !== "released") return this.#fail(`${by} ends the lease ${name}, which it has not asked for`);
    this.#demandRight(entry, ask, by, `${by} ends ${name}`);
    ask.done = entry.copy();
  }

  told(by: string, told: Told): void {
    const ask = this.#asks.get(by) as Ask;
    const { outcome } = told;
    const says = `${by} is told "${outcome}" of ${ask.claim === null ? "its lease" : this.#stories.nameOf(ask.claim)}`;
    if (outcome === "acquired" || outcome === "renewed") {
      const { id, expiresAt, fencingToken } = told.lease;
      const { done } = ask;
      if (done?.id !== id || done.record?.expiresAt !== expiresAt || done.fencingToken !== fencingToken)
        this.#fail(`${says}, which is not what the store has done`);
    } else if (outcome === "changed" || outcome === "released") {
      if (ask.done === null) this.#fail(`${says}, which the store has not done for it`);
    } else if (outcome === "held") {
      // What holds the lock for nobody must not keep anybody from it.
      const inTheWay = told.holders.filter((holder) => !isOver(holder.expiresAt, ask.sinceMs));
      if (inTheWay.length === 0) this.#fail(`${says}, and nobody holds ${told.lock} but leases whose time is over`);
    } else if (outcome === "frozen") {
      const agent = this.#world.agents.get(by);
      if (ask.kind === "acquire" && agent?.job.kind === "lease")
        this.#world.checks.freezes.saysFrozen(agent, agent.job.request.locks);
    } else if (ask.claim !== null) this.#demandTruth(outcome, ask, ask.claim, by, says);
  }

  #demandTruth(outcome: "is held" | "gone" | "expired" | "refused", ask: Ask, claim: string, by: string, says: string): void {
    const story = this.#stories.of(claim) as Story;
    const entries = [...story.entries.values()];
    if (outcome === "gone" && ask.kind !== "renew" && ask.kind !== "change" && ask.done !== null && !this.#isUnrecorded(ask.done))
      this.#fail(`${says}, which it has ended itself`);
    if (outcome === "is held") {
      if (story.endedAt !== null && story.endedAt <= ask.sinceRevision) this.#fail(`${says}, which was gone`);
      if (story.isLease && !story.isDurable) this.#fail(`${says}, which waits`);
      // Another may have given it a time since that is over already.
      const unwritten = entries.filter(({ revision }) => revision <= ask.sinceRevision);
      if (unwritten.some((entry) => isOverAt(entry, ask.sinceMs))) this.#fail(`${says}, whose time was over`);
      return;
    }
    // Durable since before it was asked for: the claims that waited then do not matter.
    const wasInHand = entries.some(({ session, fencingToken }) => session === null && (fencingToken ?? 0) <= ask.sinceRevision);
    if (!wasInHand) return;
    if (outcome !== "refused" && story.endedAt === null) this.#fail(`${says}, which is there`);
    const isOwn = entries.every(({ record }) => record?.owner.principal === by);
    if (outcome === "refused" && story.isLease && (ask.forced || isOwn)) this.#fail(`${says}, which is a lease`);
  }

  #isUnrecorded({ id, lock }: SeenEntry): boolean {
    return this.#world.checks.unrecorded.has(`${id} ${lock}`);
  }

  /** Another principal's lease is renewed and ended by force alone. */
  #demandRight({ record }: SeenEntry, ask: Ask, by: string, does: string): void {
    if (record?.lease != null && record.owner.principal !== by && !ask.forced)
      this.#fail(`${does}, which is another's, without force`);
  }

  /** Its time is counted by the store's clock, from a moment between the question and now. */
  #demandTime({ record }: SeenEntry, { ttlMs, sinceMs }: Ask, does: string): void {
    const expiresAt = record?.expiresAt ?? null;
    const isInTime =
      ttlMs !== null && expiresAt !== null && expiresAt >= sinceMs + ttlMs && expiresAt <= this.#world.store.now() + ttlMs;
    if (!isInTime && (ttlMs !== null || expiresAt !== null))
      this.#fail(`${does} and has it last ${expiresAt === null ? "for ever" : `${expiresAt - sinceMs} ms`} instead of ${ttlMs} ms`);
  }
}

function isOverAt({ record }: SeenEntry, now: number): boolean {
  return isOver(record?.expiresAt ?? null, now);
}

function isOver(expiresAt: number | null, now: number): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** How often the data of a claim was changed. */
export function changesIn(data: unknown): number {
  const changes = isObject(data) ? data["changes"] : 0;
  return typeof changes === "number" ? changes : 0;
}
