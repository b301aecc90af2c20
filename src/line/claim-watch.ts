// Watches an ephemeral claim in hand, and gives those who depend on it one signal to go by.
import type { Coordinator, Joined } from "../locks/coordinator.js";
import { ClaimLostError } from "../locks/errors.js";
import { link } from "../locks/signals.js";

/** A watch over a claim. */
export interface ClaimWatch {
  /** Aborted when the session counts as lost, or when somebody took the claim out of one of its queues. */
  readonly lost: AbortSignal;
  /** Ends the watch, not the claim. */
  close(): void;
}

/** Watches a claim that has been granted, until the watch is closed. */
export function watchClaim(coordinator: Coordinator, joined: Joined): ClaimWatch {
  const taken = new AbortController();
  const closed = new AbortController();
  const { signal: lost, unlink } = link(joined.session.lost, taken.signal);
  for (const { lock, ref } of joined.positions) {
    coordinator.departed(joined, lock, [ref], closed.signal).then(
      () => taken.abort(new ClaimLostError(`the claim on ${lock} was taken away while it was held`)),
      // Closing the watch ends this too, and a lost session has its own signal. After any other error nobody would notice that
      // somebody takes the claim away, so the claim counts as lost.
      (error: unknown) => taken.abort(error),
    );
  }
  return {
    lost,
    close() {
      closed.abort();
      unlink();
    },
  };
}
