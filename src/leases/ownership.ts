// Whose lease it is, and so who may renew and end it. To know its id is not enough: `acquire` prints the holder's id when it
// fails, and scripts take that for their own.
import type { Claim } from "../locks/claim.js";
import { HoldlineError } from "../locks/errors.js";

/** Who writes to a lease or ends it. */
export interface LeaseWriter {
  /** The principal. */
  readonly by: string;
  readonly signal?: AbortSignal;
  /** Allows it for another principal's lease, too. */
  readonly force?: boolean;
}

/** Who ends a lease, and why. */
export interface LeaseEnding extends LeaseWriter {
  readonly reason: string | null;
}

/**
 * Whether the lease is the writer's own, or another's that is forced.
 * @throws HoldlineError `not-allowed` for another's without force
 */
export function refuseOthers({ id, lock, owner }: Claim, { by, force = false }: LeaseWriter): "own" | "forced" {
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
