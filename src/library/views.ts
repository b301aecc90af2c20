// Claims and locks as the library shows them: what a store knows, with what the rule says of it.
import type { Perspective } from "../line/perspective.js";
import type { Claim, Condition } from "../locks/claim.js";
import { conditionOf } from "../locks/claim.js";
import { isInHand } from "../line/holders.js";

/** A claim with what its queue says of it. */
export interface ClaimView extends Claim {
  readonly state: "held" | "waiting";
  readonly condition: Condition;
}

/** A lock and everybody who has it or wants it. */
export interface LockView {
  readonly lock: string;
  readonly holders: readonly ClaimView[];
  /** First come first. */
  readonly waiting: readonly ClaimView[];
}

/** Applies the rule to a queue. */
export function viewOf(lock: string, queue: readonly Claim[], perspective: Perspective): LockView {
  const views = queue.map((claim, position): ClaimView => {
    const held = isInHand(queue, position);
    return { ...claim, state: held ? "held" : "waiting", condition: conditionOf(claim, held, perspective.isOwnerGone(claim)) };
  });
  return {
    lock,
    holders: views.filter(({ state }) => state === "held"),
    waiting: views.filter(({ state }) => state === "waiting"),
  };
}
