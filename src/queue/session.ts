// A session of the engine as its owner knows it: until when the store honours it, when it counts as lost, and which entries are held
// in it. It never asks the store anything; sessions.ts does.
//
//   alive → lost (the store said so, was silent for LOST_AFTER of the timeout, or the session was given up)
import { setMaxListeners } from "node:events";
import { LOST_AFTER, type Session } from "../locks/session.js";
import { SessionLostError } from "../locks/errors.js";
import type { Timers } from "./asking.js";
import type { SessionRef } from "./store.js";

// The part of the timeout that is left, after `lost`, to stop what depends on the session. The rest up to the whole timeout is
// a margin for this process's own lateness.
const GRACE = 0.1;

// A session that was confirmed within this part of its timeout can be begun with: a fifth is left until it would be lost, within
// which it is confirmed again.
const FRESH = 0.6;

// A timer does not count the machine's sleep. While something depends on the session the clock is looked at this many times in a
// timeout, so that after a sleep the loss is noticed within a fortieth of it.
const LOOKS_PER_TIMEOUT = 40;

export class EngineSession implements Session {
  readonly graceMs: number;
  readonly #timeoutMs: number;
  readonly #timers: Timers;
  readonly #loss = new AbortController();
  /** Entries that are held and stay ephemeral: what goes on under them must end before the session does. */
  readonly #held = new Set<string>();
  #onLetGo: () => void = () => undefined;
  #confirmedAt: number;
  #epoch = 0;
  #latestRevision = 0;
  #callOff: (() => void) | null = null;

  /**
   * @param timeoutMs Infinity for one that lives as long as its process
   * @param askedAt when it was asked for
   */
  constructor(
    readonly id: string,
    timeoutMs: number,
    askedAt: number,
    timers: Timers,
  ) {
    // Every waiter listens.
    setMaxListeners(0, this.#loss.signal);
    this.#timeoutMs = timeoutMs;
    this.#timers = timers;
    this.#confirmedAt = askedAt;
    this.graceMs = this.isRenewed ? timeoutMs * GRACE : 0;
    this.#watch();
  }

  get lost(): AbortSignal {
    return this.#loss.signal;
  }

  get ref(): SessionRef {
    return { id: this.id, epoch: this.#epoch };
  }

  get isRenewed(): boolean {
    return Number.isFinite(this.#timeoutMs);
  }

  /** Whether the store has confirmed it lately enough to begin something that must end before the session does. */
  get isFresh(): boolean {
    return !this.isRenewed || this.confirmedMsAgo < this.#timeoutMs * FRESH;
  }

  /** How long ago the store has confirmed it, in milliseconds: counted from when it was asked, not from its answer. */
  get confirmedMsAgo(): number {
    return this.#timers.uptimeMs() - this.#confirmedAt;
  }

  get hasHeld(): boolean {
    return this.#held.size > 0;
  }

  heldUntil(): number {
    return this.#confirmedAt + this.#timeoutMs;
  }

  latestRevision(): number {
    return this.#latestRevision;
  }

  /** The store has shown this session a revision. */
  see(revision: number): void {
    if (revision > this.#latestRevision) this.#latestRevision = revision;
  }

  hold(ref: string): void {
    this.#held.add(ref);
    this.#watch();
  }

  letGo(ref: string): void {
    this.#held.delete(ref);
    if (!this.hasHeld) this.#onLetGo();
  }

  /** Has `run` called when all that is held has been let go. */
  onLetGo(run: () => void): void {
    this.#onLetGo = run;
  }

  /** What is sent from now on belongs to another epoch than all before. */
  nextEpoch(): SessionRef {
    this.#epoch += 1;
    return this.ref;
  }

  /** The store has renewed it. @param sentAt when it was asked to */
  confirmed(sentAt: number): void {
    this.#confirmedAt = Math.max(this.#confirmedAt, sentAt);
    this.#watch();
  }

  lose(reason: string): void {
    this.#callOff?.();
    if (!this.lost.aborted) this.#loss.abort(new SessionLostError(reason));
  }

  #watch(): void {
    this.#callOff?.();
    if (!this.isRenewed || this.lost.aborted) return;
    const leftMs = this.#confirmedAt + this.#timeoutMs * LOST_AFTER - this.#timers.uptimeMs();
    if (leftMs <= 0) return this.lose(`the store has not answered for ${Math.round(this.#timeoutMs * LOST_AFTER - leftMs)} ms`);
    const lookMs = this.hasHeld ? Math.min(leftMs, this.#timeoutMs / LOOKS_PER_TIMEOUT) : leftMs;
    this.#callOff = this.#timers.after(lookMs, () => this.#watch());
  }
}
