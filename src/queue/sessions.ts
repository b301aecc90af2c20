// The sessions of one engine: the one that lives, its renewal, and the next one when it is lost. Also the claims in hand, by which
// others tell that this process lives: with a new session their liveness comes back.
import type { EntryRef, Settled } from "../locks/coordinator.js";
import type { Log } from "../locks/log.js";
import { bestEffort, ClosedError, messageOf, UnreachableError } from "../locks/errors.js";
import type { Asking, Timers } from "./asking.js";
import { unlessAborted } from "./asking.js";
import { EngineSession } from "./session.js";
import { type Committed, type QueueStore, ReplyLostError, type SessionRef, type Step } from "./store.js";

// Two renewals can be lost before the session is.
const RENEWALS_PER_TIMEOUT = 3;

// A store that takes a good part of the timeout to answer is asked again at once, but not in a tight loop.
const MOST_RENEWALS_PER_TIMEOUT = 40;

// Between two tries to open a session while the store is away: each has had the connect timeout already.
const TRIED_AGAIN_MS = 250;

export interface SessionsOptions {
  readonly sessionTimeoutMs: number;
  readonly timers: Timers;
  readonly log: Log;
}

/** A claim in this process's hand. */
interface InHand {
  readonly entries: readonly EntryRef[];
  readonly fencingToken: number;
}

//   none → (asked for) opening → alive ⇄ fencing → lost → opening, at once while claims are in hand → … → closed
export class Sessions {
  readonly #store: QueueStore;
  readonly #asking: Asking;
  readonly #options: SessionsOptions;
  readonly #timeoutMs: number;
  readonly #inHand = new Map<string, InHand>();
  /** Lost sessions of this engine that the store may still have. */
  readonly #formers = new Set<string>();
  #session: EngineSession | null = null;
  #opening: Promise<EngineSession> | null = null;
  readonly #fencing = new WeakMap<EngineSession, Promise<void>>();
  #callOffRenewal: (() => void) | null = null;
  #isClosed = false;

  constructor(store: QueueStore, asking: Asking, options: SessionsOptions) {
    this.#store = store;
    this.#asking = asking;
    this.#options = options;
    const isRenewed = store.traits.sessions === "renewed";
    this.#timeoutMs = isRenewed ? Math.max(options.sessionTimeoutMs, store.traits.minSessionMs) : Number.POSITIVE_INFINITY;
  }

  /** The latest session, which may be lost. */
  get latest(): EngineSession | null {
    return this.#session;
  }

  /** The session that lives, or a new one. */
  current(signal?: AbortSignal): Promise<EngineSession> {
    if (this.#session !== null && !this.#session.lost.aborted) return Promise.resolve(this.#session);
    if (this.#isClosed) return Promise.reject(new ClosedError("the coordinator has been closed"));
    this.#opening ??= this.#open().finally(() => (this.#opening = null));
    // Shared with others, so that it goes on when this caller waits no longer.
    this.#opening.catch(() => undefined);
    return unlessAborted(signal, this.#opening);
  }

  /**
   * Commits steps of a session.
   * @param onLost asked after a lost reply whether the commit has happened: nothing that was sent before can happen any more
   * @throws SessionLostError when the session is over
   */
  async commit<T>(
    session: EngineSession,
    signal: AbortSignal | undefined,
    stepsOf: (session: SessionRef) => readonly Step[],
    onLost: () => Promise<T | undefined>,
  ): Promise<Committed | { readonly found: T }> {
    for (;;) {
      let sent = session.ref;
      // Whether something was sent that the session has not been fenced against.
      let isOnItsWay = false;
      const committed = await this.#asking.ask<Committed | { readonly found: T }>(
        signal,
        (patience) => {
          session.lost.throwIfAborted();
          // Those who share a fence rely on it for all that they have sent, so that nothing is sent while it is made.
          if (this.#fencing.has(session)) throw new ReplyLostError("other requests of the session are being called off");
          sent = session.ref;
          isOnItsWay = true;
          return this.#store.commit(stepsOf(sent), patience);
        },
        async () => {
          if (!isOnItsWay) {
            await this.#fencing.get(session);
            return undefined;
          }
          await this.fence(session);
          const found = await onLost();
          isOnItsWay = false;
          return found === undefined ? undefined : { found };
        },
      );
      if ("found" in committed) return committed;
      if (committed.isDone) {
        session.see(committed.revision);
        return committed;
      }
      if (committed.why !== "no-session") return committed;
      // Another request of this session was lost meanwhile, and this one came too late for its epoch.
      if (sent.epoch === session.ref.epoch) this.#lose(session, "the store has ended the session");
      session.lost.throwIfAborted();
    }
  }

  /** From its end on nothing that was sent in the session before, and has not arrived, can have an effect. */
  fence(session: EngineSession): Promise<void> {
    const fencing =
      this.#fencing.get(session) ??
      this.#renew(session, session.nextEpoch()).finally(() => {
        this.#fencing.delete(session);
      });
    this.#fencing.set(session, fencing);
    return fencing;
  }

  /** The same for a session that is lost, which the store may have still. */
  async fenceLost(session: EngineSession): Promise<void> {
    await this.#asking.ask(undefined, (patience) => this.#store.renew(session.nextEpoch(), patience));
  }

  /**
   * Resolves when the store has confirmed the session lately.
   * @throws SessionLostError when the session is lost
   */
  async confirm(session: EngineSession, signal?: AbortSignal): Promise<void> {
    session.lost.throwIfAborted();
    if (!session.isFresh) await unlessAborted(signal, this.#renew(session, session.ref));
    session.lost.throwIfAborted();
  }

  /** Asks the store whether the session lives, for whoever misses an entry of it. */
  async verify(session: EngineSession, signal?: AbortSignal): Promise<void> {
    if (session.lost.aborted) return;
    await unlessAborted(signal, this.#renew(session, session.ref)).catch((error: unknown) => {
      if (!session.lost.aborted) throw error;
    });
  }

  /** A claim is in this process's hand from now on. @param session by which others see that; `null`: perhaps by none that lives */
  take(claim: string, { entries, fencingToken }: Settled, session: EngineSession | null): void {
    this.#inHand.set(claim, { entries, fencingToken });
    const latest = this.#session;
    if (latest === null || latest.lost.aborted) this.#reopen();
    else if (latest !== session) void this.#own(latest, [claim]);
  }

  drop(claim: string): void {
    this.#inHand.delete(claim);
  }

  /** What the session has left cannot be removed now: it counts as lost, and its claims go with it. */
  giveUp(session: EngineSession, reason: string): void {
    if (session.lost.aborted || this.#isClosed) return;
    this.#options.log.warn({}, reason);
    this.#lose(session, reason);
  }

  /** Ends the session. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#callOffRenewal?.();
    const session = this.#session;
    if (session === null) return;
    session.lose("the coordinator was closed");
    // Former ones as well: where a session lasts as long as its process, nothing else ends them soon.
    const ended = new Set([...this.#formers, session.id]);
    const steps = [...ended].map((id): Step => ({ do: "end", session: id, isEnded: false }));
    await bestEffort(this.#options.log, "the session ends by itself", () =>
      this.#asking.ask(undefined, (patience) => this.#store.commit(steps, patience)),
    );
  }

  async #open(): Promise<EngineSession> {
    const { timers } = this.#options;
    let askedAt = 0;
    const id = await this.#asking.ask(undefined, (patience) => {
      askedAt = timers.uptimeMs();
      return this.#store.openSession(this.#timeoutMs, patience);
    });
    const session = new EngineSession(id, this.#timeoutMs, askedAt, timers);
    if (this.#isClosed) {
      session.lose("the coordinator was closed");
      await bestEffort(this.#options.log, "the session ends by itself", () =>
        this.#store.commit([{ do: "end", session: id, isEnded: false }]),
      );
      throw new ClosedError("the coordinator has been closed");
    }
    this.#session = session;
    session.lost.addEventListener("abort", () => this.#onLost(session), { once: true });
    if (session.isRenewed) this.#scheduleRenewal(session);
    await this.#replaceFormers(session);
    return session;
  }

  #onLost(session: EngineSession): void {
    // What was held under it may still be being stopped: until that is let go only the store may end it.
    if (!session.hasHeld) this.#formers.add(session.id);
    else if (!session.isRenewed) session.onLetGo(() => this.#replaceLetGo(session));
    this.#reopen();
  }

  #replaceLetGo(former: EngineSession): void {
    if (this.#isClosed) return;
    this.#formers.add(former.id);
    const latest = this.#session;
    if (latest === null || latest.lost.aborted) this.#reopen();
    else this.#replaceAgain(latest);
  }

  /** Puts a session in the place of former ones of this engine: claims in hand pass on to it, and then what waited ends. */
  async #replaceFormers(session: EngineSession): Promise<void> {
    const formers = [...this.#formers];
    const steps: Step[] = [...this.#inHand.values()].flatMap((inHand) => ownershipOf(inHand, session));
    for (const former of formers) steps.push({ do: "end", session: former, isEnded: false });
    if (steps.length === 0) return;
    let isDone = false;
    await bestEffort(this.#options.log, "the former session is replaced later", async () => {
      for (const most = this.#store.traits.maxLocks; steps.length > 0; steps.splice(0, most))
        await this.#asking.ask(undefined, (patience) => this.#store.commit(steps.slice(0, most), patience));
      isDone = true;
      for (const former of formers) this.#formers.delete(former);
    });
    if (!isDone) this.#options.timers.after(TRIED_AGAIN_MS, () => this.#replaceAgain(session));
  }

  #replaceAgain(session: EngineSession): void {
    if (!this.#isClosed && !session.lost.aborted) void this.#replaceFormers(session);
  }

  async #own(session: EngineSession, claims: readonly string[]): Promise<void> {
    const steps = claims.flatMap((claim) => {
      const inHand = this.#inHand.get(claim);
      return inHand === undefined ? [] : ownershipOf(inHand, session);
    });
    let isDone = false;
    await bestEffort(this.#options.log, "a claim's owner is not seen to live yet: it is tried again", async () => {
      await this.#asking.ask(session.lost, (patience) => this.#store.commit(steps, patience));
      isDone = true;
    });
    if (!isDone) this.#options.timers.after(TRIED_AGAIN_MS, () => this.#replaceAgain(session));
  }

  /** While claims are in hand others go by their liveness, and a lost session may have left some in line: neither waits until a session is asked for. */
  #reopen(): void {
    if (this.#isClosed || (this.#inHand.size === 0 && this.#formers.size === 0)) return;
    this.current().catch((error: unknown) => {
      this.#options.log.debug({ error: messageOf(error) }, "no session could be opened yet: it is tried again");
      this.#options.timers.after(TRIED_AGAIN_MS, () => this.#reopen());
    });
  }

  #scheduleRenewal(session: EngineSession): void {
    this.#callOffRenewal?.();
    const dueMs = this.#timeoutMs / RENEWALS_PER_TIMEOUT - session.confirmedMsAgo;
    this.#callOffRenewal = this.#options.timers.after(Math.max(dueMs, this.#timeoutMs / MOST_RENEWALS_PER_TIMEOUT), () => {
      if (session.lost.aborted || this.#isClosed) return;
      this.#renew(session, session.ref)
        // The watchdog of the session says when that has gone on for too long.
        .catch((error: unknown) => {
          if (!(error instanceof UnreachableError) && !session.lost.aborted) this.#lose(session, messageOf(error));
        })
        .finally(() => {
          if (!session.lost.aborted) this.#scheduleRenewal(session);
        });
    });
  }

  async #renew(session: EngineSession, ref: SessionRef): Promise<void> {
    let sentAt = 0;
    const lives = await this.#asking.ask(session.lost, (patience) => {
      sentAt = this.#options.timers.uptimeMs();
      return this.#store.renew(ref, patience);
    });
    if (lives) session.confirmed(sentAt);
    else this.#lose(session, "the store has ended the session");
    session.lost.throwIfAborted();
  }

  #lose(session: EngineSession, reason: string): void {
    this.#options.log.debug({ session: session.id, reason }, "session ended");
    session.lose(reason);
  }
}

function ownershipOf({ entries, fencingToken }: InHand, session: EngineSession): Step[] {
  return entries.map(({ lock, ref }) => ({ do: "own", lock, ref, token: fencingToken, session: session.id }));
}
