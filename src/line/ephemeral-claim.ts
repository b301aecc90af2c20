// Holding an ephemeral claim for as long as a piece of work takes: wait in line and for the thaw, watch over the claim, do the work,
// withdraw. What the work is, and what becomes of it when the claim is lost, is the caller's matter.
//
//   looking → (frozen) over
//      ↓ in line → granted → (frozen as a whole) frozen in place ⇄ confirmed → working → withdrawn
//                     ↓ frozen for this node or group, or the time is over → over
//                     ↓ session lost while frozen → in line again
import { randomUUID } from "node:crypto";
import type { Owner } from "../locks/claim.js";
import type { Coordinator, Draft, Joined } from "../locks/coordinator.js";
import { SessionLostError } from "../locks/errors.js";
import type { Freeze, FreezeSubject } from "../locks/freezes.js";
import type { Session } from "../locks/session.js";
import { link } from "../locks/signals.js";
import { watchClaim } from "./claim-watch.js";
import { readBinding, readFreezesToBegin, untilThawed } from "./freezes.js";
import { waitInLine, type WaitOptions } from "./waiting.js";
import { describeFreezes, describeTimeout } from "./words.js";

export interface EphemeralRequest {
  readonly lock: string;
  readonly key: string | null;
  readonly slots: number;
  readonly owner: Owner;
  readonly reason: string | null;
  readonly data: unknown;
  /** The group that freezes see it in. */
  readonly group: string;
  /** Whether it begins whatever is frozen, which the reason should explain. */
  readonly despiteFreeze?: boolean;
}

/** An ephemeral claim that has been granted. It ends with its session. */
export interface EphemeralClaim {
  readonly id: string;
  readonly lock: string;
  readonly fencingToken: number;
  /** Aborted when the claim is lost, before another can hold the lock. */
  readonly lost: AbortSignal;
  readonly session: Session;
}

export type EphemeralEnd<T> =
  | { readonly outcome: "done"; readonly result: T }
  /** The turn did not come in time, or somebody took the claim out of the queue; the work was not begun. */
  | { readonly outcome: "timed-out" | "taken-out"; readonly message: string }
  /** Nothing may begin now; the work was not begun. */
  | { readonly outcome: "frozen"; readonly message: string; readonly freezes: readonly Freeze[] };

/**
 * Waits for the turn, does `work`, and withdraws the claim whatever becomes of the work. A caller that comes under a freeze is refused at
 * once; one that waits already keeps its place while the whole lock is frozen, as long as it may wait.
 * @throws UnreachableError when the store cannot be reached before the claim stands in line
 */
export async function withEphemeralClaim<T>(
  coordinator: Coordinator,
  { lock, group, despiteFreeze = false, ...request }: EphemeralRequest,
  options: WaitOptions,
  work: (claim: EphemeralClaim) => Promise<T>,
): Promise<EphemeralEnd<T>> {
  const { clock, acquire } = options;
  const subject = despiteFreeze ? null : { lock, node: request.owner.node, group };
  if (subject !== null) {
    const { binding } = await readBinding(coordinator, [subject], options.stop);
    if (binding.length > 0) return frozenBy(binding);
  }
  const startedAt = clock.now();
  for (;;) {
    const waitedMs = clock.now() - startedAt;
    const leftMs = acquire.timeoutMs === null ? null : Math.max(0, acquire.timeoutMs - waitedMs);
    // A new id each time: what a lost session has left in the queue may stand there still.
    const draft: Draft = { id: randomUUID(), locks: [lock], ...request, settles: false, lease: null };
    const line = await waitInLine(coordinator, draft, { ...options, acquire: { ...acquire, timeoutMs: leftMs } });
    if (line.outcome === "taken-out") return line;
    if (line.outcome !== "granted") {
      const waited = { timeoutMs: acquire.timeoutMs, waitedMs: clock.now() - startedAt };
      return { outcome: "timed-out", message: describeTimeout(lock, line, waited) };
    }
    const { joined } = line;
    const { session, positions } = joined;
    let isBegun = false;
    try {
      // Nothing begins in a root that moves, whatever the freezes say.
      if (subject === null) await readFreezesToBegin(coordinator, options.stop);
      const binding = subject === null ? [] : await thawedInPlace(coordinator, joined, subject, options, startedAt);
      if (binding.length > 0) return frozenBy(binding);
      // The session has seen the store as it is at the grant, and may see later changes at any moment.
      const fencingToken = session.latestRevision();
      const watch = watchClaim(coordinator, joined);
      isBegun = true;
      try {
        return { outcome: "done", result: await work({ id: draft.id, lock, fencingToken, lost: watch.lost, session }) };
      } finally {
        watch.close();
      }
    } catch (error) {
      if (isBegun || !(error instanceof SessionLostError)) throw error;
      options.progress.step("the session was lost while the lock was frozen: joining again at the end of the line", { lock });
    } finally {
      await coordinator.withdraw(positions);
    }
  }
}

/**
 * At the grant: what binds the claim, after a wait for the thaw where it may wait. The session was confirmed just before the freezes were
 * read, so that a freeze that was committed before that is seen, and the work begins before any that is committed later.
 */
async function thawedInPlace(
  coordinator: Coordinator,
  joined: Joined,
  subject: FreezeSubject,
  { clock, progress, acquire, stop }: WaitOptions,
  startedAt: number,
): Promise<readonly Freeze[]> {
  const { signal, unlink } = link(stop, joined.session.lost);
  try {
    for (let { binding } = await readBinding(coordinator, [subject], signal); binding.length > 0;) {
      const leftMs = acquire.timeoutMs === null ? null : Math.max(0, acquire.timeoutMs - (clock.now() - startedAt));
      const { sleepTimeMs } = acquire;
      const thawed = await untilThawed(coordinator, [subject], { clock, progress, sleepTimeMs, signal, timeoutMs: leftMs });
      if (thawed.binding.length > 0) return thawed.binding;
      // The session has not been asked for since the grant.
      await coordinator.confirm(joined, signal);
      ({ binding } = await readBinding(coordinator, [subject], signal));
    }
    return [];
  } finally {
    unlink();
  }
}

function frozenBy(freezes: readonly Freeze[]) {
  return { outcome: "frozen", message: describeFreezes(freezes), freezes } as const;
}
