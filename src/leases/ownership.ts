// Whose a lease is: what may be ended and renewed by its id, and by whom. Scripts hold ids that they did not mean to have
// (`acquire` prints the holder's when it fails), so that knowing one is not enough.
import type { Claim } from "../locks/claim.js";
import { HoldlineError } from "../locks/errors.js";

/** Who writes to a lease or ends it. */
export interface Over {
  /** The principal. */
  readonly by: string;
  readonly signal?: AbortSignal;
  /** Also another principal's. */
  readonly force?: boolean;
}

/** Who ends a lease, and why. */
export interface Ending extends Over {
  readonly reason: string | null;
}

/**
 * Whose the lease is: the asker's own, or another's that is forced.
 * @throws HoldlineError `not-allowed` for another's without force
 */
export function refuseOthers({ id, lock, owner }: Claim, { by, force = false }: Over): "own" | "forced" {
  if (owner.principal === by) return "own";
  if (force) return "forced";
  throw new HoldlineError("not-allowed", `the lease ${id} on ${lock} belongs to ${owner.principal}, and you are ${by}`, {
    hint: "with force it can be renewed and ended all the same (--force), and the history shows by whom",
  });
}

/** @throws HoldlineError `not-allowed` for the claim of a process, and for one that still waits */
export function refuseUnlessLease({ id, lock, lease, owner, durable }: Claim): void {
  if (lease !== null && durable) return;
  if (lease !== null) {
    throw new HoldlineError("not-allowed", `the claim ${id} on ${lock} is no lease yet: ${owner.principal} still waits for it`, {
      hint: "it ends when that wait ends",
    });
  }
  const whose = owner.action === null ? "a process" : `the action ${owner.action}`;
  throw new HoldlineError("not-allowed", `the claim ${id} on ${lock} is no lease: it belongs to ${whose} on ${owner.node}`, {
    hint: "it ends with what it is for; an admin ends it with: holdline clear LOCK --reason TEXT",
  });
}
