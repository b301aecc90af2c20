// Sessions: a process's liveness with a store, as those who depend on it see it.

/** A process's liveness with a store. When it ends, so do its ephemeral claims, and a new one takes its place. */
export interface Session {
  readonly id: string;
  /**
   * Aborted before the store can have ended the session, early enough for what depends on it to be stopped: when the
   * store has not answered for {@link LOST_AFTER} of the session timeout, or has said that the session is over.
   */
  readonly lost: AbortSignal;
  /** How long after `lost` the store may still honour the session, in milliseconds: the time left to stop what depends on it. */
  readonly graceMs: number;
  /**
   * Until when the store cannot have ended the session, by what it has confirmed so far: milliseconds since boot, sleep
   * included. It moves on with every confirmation while the session lives. Infinity where the store does not end the sessions of processes that live.
   */
  heldUntil(): number;
  /**
   * A number that has grown with every change that this session has seen: read at a grant, it is the fencing token of an
   * ephemeral claim, above those of all holders before it. Without a round trip.
   */
  latestRevision(): number;
}

/** The part of the session timeout without an answer after which a session counts as lost: the rest is for stopping what depends on it. */
export const LOST_AFTER = 0.8;
