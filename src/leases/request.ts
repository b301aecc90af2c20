// What a lease is asked for with, and what somebody has who got it. Types only.
import type { Clock } from "../line/clock.js";
import type { Perspective } from "../line/perspective.js";
import type { Progress } from "../line/progress.js";
import type { LeaseType, ProcessIdentity } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import type { FreezeSubject } from "../locks/freezes.js";

/** The process that takes leases. While a lease waits its place in line belongs to this process; once held, to none. */
export interface LeaseTaker {
  readonly node: string;
  /**
   * The node and the group whose freezes bind, where it is not the taker's own node: empty names where nobody knows them, which only
   * freezes of all nodes and groups bind.
   */
  readonly subject?: Pick<FreezeSubject, "node" | "group">;
  readonly process: ProcessIdentity;
  readonly perspective: Perspective;
  readonly clock: Clock;
  /** The longest pause between looks where nothing wakes the waiter sooner, in milliseconds. */
  readonly sleepTimeMs: number;
}

/** A taker at work on one store. */
export interface LeaseContext extends LeaseTaker {
  readonly coordinator: Coordinator;
  readonly progress: Progress;
  /** Ends every wait: the claim is withdrawn, and the call rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

export interface LeaseRequest {
  /** A UUID of the caller's, with which it can ask again: see once.ts. By default a new one. */
  readonly id?: string;
  /** All are taken or none, in one transaction. The first is the one that the caller named. */
  readonly locks: readonly string[];
  readonly type: LeaseType;
  readonly key: string | null;
  readonly slots: number;
  readonly principal: string;
  readonly caller: string | null;
  readonly path: string | null;
  readonly reason: string | null;
  readonly data: unknown;
  /** How long the lease lasts, in milliseconds; `null`: until it is released. */
  readonly ttlMs: number | null;
  /** How long to wait in line, in milliseconds; 0: not at all, `null`: for ever. */
  readonly waitMs: number | null;
  /** Refuses to share: nobody else may have a claim on any of the locks, not even one that could be held beside this one. */
  readonly alone: boolean;
  /** Takes it whatever is frozen, which the reason should explain. */
  readonly despiteFreeze?: boolean;
}

/** A lease in hand. */
export interface HeldLease {
  readonly id: string;
  readonly locks: readonly string[];
  /** Grows with every change of holder of each lock. */
  readonly fencingToken: number;
  /** Milliseconds since 1970 by the coordinator's clock; `null`: until it is released. */
  readonly expiresAt: number | null;
}
