// Standing in line: joining once however often it is asked for, where one's own entry stands, who has left, and leaving the line.
import { encodeRecord } from "../locks/claim.js";
import type { Draft, EntryRef, Joined, QueuePosition } from "../locks/coordinator.js";
import { ClaimLostError, HoldlineError, messageOf, SessionLostError } from "../locks/errors.js";
import { link } from "../locks/signals.js";
import type { Asking, Timers } from "./asking.js";
import { Lines } from "./lines.js";
import type { Reads } from "./reads.js";
import { aheadOf, nameOf } from "./records.js";
import type { EngineSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import type { Committed, QueueStore, SessionRef, Step, StoredEntry, StoredPlace } from "./store.js";

export interface JoiningOptions {
  readonly sessionTimeoutMs: number;
  readonly sleepTimeMs: number;
  readonly timers: Timers;
}

export class Joining {
  readonly #store: QueueStore;
  readonly #asking: Asking;
  readonly #sessions: Sessions;
  readonly #reads: Reads;
  readonly #lines: Lines;
  /** How long a waiter goes without a look. A store that tells of everything is looked at too, in case that what it told was lost. */
  readonly #lookEveryMs: number;
  /** The session of each ephemeral entry of this engine's, by lock and ref. */
  readonly #homes = new Map<string, EngineSession>();
  readonly #background = new Set<Promise<void>>();
  #isClosing = false;

  constructor(store: QueueStore, asking: Asking, sessions: Sessions, reads: Reads, options: JoiningOptions) {
    this.#store = store;
    this.#asking = asking;
    this.#sessions = sessions;
    this.#reads = reads;
    this.#lines = new Lines(store, asking, (lock, refs) => reads.line(lock, refs), options.timers);
    this.#lookEveryMs = store.traits.wakes === "poll" ? options.sleepTimeMs : options.sessionTimeoutMs;
  }

  /** The session is about to end, and every entry with it. Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#background);
  }

  /** Entries have become durable: they are no matter of a session any more. */
  settled(entries: readonly EntryRef[]): void {
    for (const entry of entries) this.#homes.delete(nameOf(entry));
  }

  async join(draft: Draft, signal?: AbortSignal): Promise<Joined> {
    signal?.throwIfAborted();
    let session: EngineSession | null = null;
    try {
      for (;;) {
        session = await this.#sessions.current(signal);
        const joined = await this.#joinIn(session, draft, signal);
        if (joined !== null) return joined;
      }
    } catch (error) {
      // It may have happened, or may still happen, in a session that lives on: then it must not stand in anyone's way.
      if (session !== null && isDoubtful(error)) this.#inBackground(this.#withdrawDraft(session, draft));
      throw error;
    }
  }

  /** `null`: the session is over, and another one has to be joined in. */
  async #joinIn(session: EngineSession, draft: Draft, signal: AbortSignal | undefined): Promise<Joined | null> {
    const { id, locks, key, slots, percent, owner, reason, data, lease } = draft;
    const known = { owner, key, slots, reason, data, lease, made: null, expiresAt: null, failure: null };
    const record = encodeRecord(percent === undefined ? known : { ...known, percent });
    const stepsOf = (ref: SessionRef): readonly Step[] =>
      locks.map((lock) => ({ do: "append", lock, claim: id, session: ref, key, slots, record }));
    const find = () => this.#findJoined(session, draft);
    for (;;) {
      try {
        const committed = await this.#sessions.commit(session, signal, stepsOf, async () => (await find()) ?? undefined);
        if ("found" in committed) return committed.found;
        if (committed.isDone) return await this.#joinedBy(session, draft, committed);
        const found = await find();
        if (found !== null) return found;
        await this.#removeRest(session, draft);
      } catch (error) {
        if (error instanceof SessionLostError) return null;
        throw error;
      }
    }
  }

  async #joinedBy(
    session: EngineSession,
    { locks }: Draft,
    { revision, appended }: Extract<Committed, { isDone: true }>,
  ): Promise<Joined> {
    const positions: QueuePosition[] = [];
    for (const [index, lock] of locks.entries()) {
      const { ref, ahead } = appended[index] as (typeof appended)[number];
      this.#homes.set(nameOf({ lock, ref }), session);
      positions.push({ lock, ref, revision, ahead: (await this.#reads.living(ahead)).map(aheadOf) });
    }
    return { session, positions };
  }

  /** The claim where it stands in line by this session; `null` where it does not. */
  async #findJoined(session: EngineSession, draft: Draft): Promise<Joined | null> {
    const own = (await this.#reads.readClaim(draft.id)).filter((entry) => entry.session === session.id);
    const places = draft.locks.map((lock) => own.find((entry) => entry.lock === lock));
    if (!places.every((entry) => entry !== undefined)) return null;
    const positions: QueuePosition[] = [];
    for (const { lock, ref, revision } of places) {
      this.#homes.set(nameOf({ lock, ref }), session);
      positions.push(await this.position({ lock, ref, revision }));
    }
    return { session, positions };
  }

  /**
   * Takes out what is left of a draft: by an earlier session of this process, which is dead, or by this one where somebody has taken it
   * out of another of its queues meanwhile. It must not stand in the way of the new claim.
   * @throws HoldlineError `conflict` when it is another's
   */
  async #removeRest(session: EngineSession, { id }: Draft): Promise<void> {
    const entries = await this.#reads.readClaim(id);
    const isOwn = (entry: StoredEntry): boolean =>
      entry.session === session.id || !entry.isSessionAlive || this.#homes.get(nameOf(entry))?.lost.aborted === true;
    const other = entries.find((entry) => entry.durable || !isOwn(entry));
    if (other !== undefined) {
      throw new HoldlineError("conflict", `another session stands in the queue of ${other.lock} with the claim id ${id}`);
    }
    await this.#withdraw(entries);
  }

  async #withdrawDraft(session: EngineSession, draft: Draft): Promise<void> {
    if (session.lost.aborted) return;
    try {
      await this.#sessions.fence(session);
      await this.#withdraw((await this.#reads.readClaim(draft.id)).filter((entry) => entry.session === session.id));
    } catch (error) {
      this.#sessions.giveUp(session, `a claim could not be withdrawn: ${messageOf(error)}`);
    }
  }

  async confirm(joined: Joined, signal?: AbortSignal): Promise<void> {
    const session = joined.session as EngineSession;
    for (const position of joined.positions) session.hold(nameOf(position));
    try {
      await this.#sessions.confirm(session, signal);
    } catch (error) {
      // Nothing goes on under them.
      for (const position of joined.positions) session.letGo(nameOf(position));
      throw error;
    }
  }

  async position(entry: EntryRef, signal?: AbortSignal): Promise<QueuePosition> {
    const { lock, ref } = entry;
    const places = await this.#reads.line(lock, undefined, signal);
    const own = places.findIndex((place) => place.ref === ref);
    if (own < 0) throw await this.lossOf(this.#homes.get(nameOf(entry)) ?? null, lock, signal);
    return { lock, ref, revision: (places[own] as StoredPlace).revision, ahead: places.slice(0, own).map(aheadOf) };
  }

  async departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    const session = joined.session as EngineSession;
    const own = joined.positions.find((position) => position.lock === lock && !refs.includes(position.ref));
    const { signal: ended, unlink } = link(session.lost, signal);
    try {
      ended.throwIfAborted();
      const line = await this.#lines.watch(lock, ended);
      try {
        for (;;) {
          const there = await line.look(own === undefined ? refs : [...refs, own.ref], ended);
          ended.throwIfAborted();
          if (own !== undefined && !there.has(own.ref)) throw await this.lossOf(session, lock, ended);
          const gone = refs.filter((ref) => !there.has(ref));
          if (gone.length > 0 && gone.some((ref) => this.#homes.get(nameOf({ lock, ref })) === session))
            await this.#sessions.verify(session, ended);
          ended.throwIfAborted();
          if (gone.length > 0) return gone;
          await line.changed(this.#lookEveryMs, ended);
          ended.throwIfAborted();
        }
      } finally {
        line.close();
      }
    } finally {
      unlink();
    }
  }

  async withdraw(entries: readonly EntryRef[]): Promise<void> {
    const homes = new Set<EngineSession>();
    let isLost = false;
    for (const entry of entries) {
      const name = nameOf(entry);
      const home = this.#homes.get(name);
      this.#homes.delete(name);
      home?.letGo(name);
      if (home?.lost.aborted === true) isLost = true;
      else if (home !== undefined) homes.add(home);
    }
    // Closing ends them as well, and so does the end of their session.
    if (this.#isClosing || isLost) return;
    try {
      await this.#withdraw(entries);
    } catch (error) {
      const [home = this.#sessions.latest] = homes;
      if (home !== null) this.#sessions.giveUp(home, `a claim could not be withdrawn: ${messageOf(error)}`);
    }
  }

  async #withdraw(entries: readonly Pick<EntryRef, "lock" | "ref">[]): Promise<void> {
    if (entries.length === 0) return;
    const steps: Step[] = entries.map(({ lock, ref }) => ({ do: "withdraw", lock, ref }));
    const committed = await this.#asking.ask(undefined, (patience) => this.#store.commit(steps, patience));
    if (committed.isDone) this.#sessions.latest?.see(committed.revision);
  }

  /** Why an own entry is not there: with its session, or taken away. */
  async lossOf(session: EngineSession | null, lock: string, signal: AbortSignal | undefined): Promise<HoldlineError> {
    if (session !== null && !session.lost.aborted) await this.#sessions.verify(session, signal);
    if (session !== null && !session.lost.aborted) return new ClaimLostError(`the claim was taken out of the queue of ${lock}`);
    return new SessionLostError(`the session in which the claim on ${lock} was made has ended`);
  }

  #inBackground(work: Promise<void>): void {
    const done = work.finally(() => this.#background.delete(done));
    this.#background.add(done);
  }
}

/** Whether what was asked for may have happened, or may still happen, although the caller is told otherwise. */
function isDoubtful(error: unknown): boolean {
  return !(error instanceof HoldlineError) || (error.code !== "conflict" && error.code !== "not-allowed");
}
