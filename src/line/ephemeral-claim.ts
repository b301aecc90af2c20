// Holding an ephemeral claim for as long as a piece of work takes: wait in line, watch over the claim, do the work, withdraw.
// What the work is, and what becomes of it when the claim is lost, is the caller's matter.
import { randomUUID } from "node:crypto";
import type { Owner } from "../locks/claim.js";
import type { Coordinator, Draft } from "../locks/coordinator.js";
import type { Session } from "../locks/session.js";
import { watchClaim } from "./claim-watch.js";
import { waitInLine, type WaitOptions } from "./waiting.js";
import { describeTimeout } from "./words.js";

export interface EphemeralRequest {
  readonly lock: string;
  readonly key: string | null;
  readonly slots: number;
  readonly owner: Owner;
  readonly reason: string | null;
  readonly data: unknown;
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
  | { readonly outcome: "timed-out" | "taken-out"; readonly message: string };

/**
 * Waits for the turn, does `work`, and withdraws the claim whatever becomes of the work.
 * @throws UnreachableError when the store cannot be reached before the claim stands in line
 */
export async function withEphemeralClaim<T>(
  coordinator: Coordinator,
  { lock, ...request }: EphemeralRequest,
  options: WaitOptions,
  work: (claim: EphemeralClaim) => Promise<T>,
): Promise<EphemeralEnd<T>> {
  const { clock, acquire } = options;
  const draft: Draft = { id: randomUUID(), locks: [lock], ...request, settles: false, lease: null };
  const startedAt = clock.now();
  const line = await waitInLine(coordinator, draft, options);
  if (line.outcome === "taken-out") return line;
  if (line.outcome !== "granted") {
    const waited = { timeoutMs: acquire.timeoutMs, waitedMs: clock.now() - startedAt };
    return { outcome: "timed-out", message: describeTimeout(lock, line, waited) };
  }
  const { session, positions } = line.joined;
  // The session has seen the store as it is at the grant, and may see later changes at any moment.
  const fencingToken = session.latestRevision();
  const watch = watchClaim(coordinator, line.joined);
  try {
    return { outcome: "done", result: await work({ id: draft.id, lock, fencingToken, lost: watch.lost, session }) };
  } finally {
    watch.close();
    await coordinator.withdraw(positions);
  }
}
