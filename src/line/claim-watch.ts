// Watching over an ephemeral claim in hand: whatever depends on it has one signal to go by.
import type { Coordinator, Joined } from "../locks/coordinator.js";
import { ClaimLostError } from "../locks/errors.js";
import { link } from "../locks/signals.js";

/** A watch over a claim. */
export interface ClaimWatch {
  /** Aborted when the session counts as lost, or when the claim is no longer in its queues: somebody took it away. */
  readonly lost: AbortSignal;
  /** Ends the watch, not the claim. */
  close(): void;
}

/** Watches a claim that has been granted, until it is closed. */
export function watchClaim(coordinator: Coordinator, joined: Joined): ClaimWatch {
  const taken = new AbortController();
  const closed = new AbortController();
  const { signal: lost, unlink } = link(joined.session.lost, taken.signal);
  for (const { lock, ref } of joined.positions) {
    coordinator.departed(joined, lock, [ref], closed.signal).then(
      () => taken.abort(new ClaimLostError(`the claim on ${lock} was taken away while it was held`)),
      // A closed watch ends with the reason that it was closed with, and a lost session has its own signal. Whatever else
      // it is, nobody would hear any more that the claim was taken away.
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
