// What a run tells people of: its failure, what it has found stale, and what it has brought to a good end.
import type { Failure, Owner } from "../locks/claim.js";
import type { ClaimEvent } from "../locks/notifier.js";
import type { GuardContext } from "./context.js";

interface Told extends Partial<Pick<ClaimEvent, "reason">> {
  readonly lock: string;
  /** The claim's id; `null` without a lock. */
  readonly claim: string | null;
  readonly owner: Pick<Owner, "node" | "group" | "principal" | "action">;
  readonly failure?: Omit<Failure, "at">;
}

export function tell({ notifier, principal }: GuardContext, event: Exclude<ClaimEvent["event"], "cleared">, told: Told): void {
  const by = event === "recovered" ? principal : null;
  notifier.tell({ event, by, ...told, reason: told.reason ?? null, failure: told.failure ?? null });
}
