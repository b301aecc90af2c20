// What the page shows: locks, claims and records of the history in the form in which `/v1` gives them, and who looks.
// Types only.

/** A claim, as `/v1/locks` gives it. Times are ISO 8601 in UTC, by the store's clock. */
export interface ShownClaim {
  readonly id: string;
  readonly condition: Condition;
  readonly durable: boolean;
  readonly key: string | null;
  readonly slots: number | null;
  readonly owner: ShownOwner;
  readonly lease: ShownLease | null;
  readonly since: string;
  readonly expiresAt: string | null;
  readonly fencingToken: number | null;
  readonly reason: string | null;
  readonly data: unknown;
  readonly failure: ShownFailure | null;
}

export type Condition = "running" | "stale" | "failed" | "leased" | "waiting";

export interface ShownOwner {
  readonly node: string;
  readonly principal: string;
  readonly action: string | null;
  readonly pid: number | null;
}

export interface ShownLease {
  readonly type: string;
  readonly caller: string | null;
  readonly path: string | null;
}

export interface ShownFailure {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly message: string;
  readonly output: string;
  readonly at: string;
}

/** A lock with its queue, as `/v1/locks` and `/v1/events` give it. Nobody claims one with two empty lists. */
export interface ShownLock {
  readonly lock: string;
  readonly holders: readonly ShownClaim[];
  readonly waiting: readonly ShownClaim[];
}

/** A record of the history, as `/v1/history` gives it. */
export interface ShownRecord {
  readonly lock: string;
  readonly claim: string;
  readonly owner: ShownOwner;
  readonly lease: ShownLease | null;
  readonly event: string;
  readonly by: string | null;
  readonly reason: string | null;
  readonly claimedAt: string;
  readonly endedAt: string;
}

/** Who looks at the page, and what they may do to which locks. */
export interface Viewer {
  readonly name: string;
  readonly may: readonly ("read" | "lock" | "clear")[];
  /** Patterns of locks' names. */
  readonly locks: readonly string[];
}
