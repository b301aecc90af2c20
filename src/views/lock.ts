// A lock and its claims as everybody is shown them: command line, server, page and library. Owns how the rule's answer and a
// claim's condition are put beside what the store keeps. How that looks as JSON is json.ts's.
import { isInHand } from "../line/holders.js";
import type { Perspective } from "../line/perspective.js";
import { conditionOf } from "../locks/claim.js";
import type { Claim, Condition, LeaseType } from "../locks/claim.js";

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
export function viewLock(lock: string, queue: readonly Claim[], perspective: Perspective): LockView {
  const holders: ClaimView[] = [];
  const waiting: ClaimView[] = [];
  for (const [position, claim] of queue.entries()) {
    const isHeld = isInHand(queue, position);
    const condition = conditionOf(claim, isHeld, perspective.isOwnerGone(claim));
    (isHeld ? holders : waiting).push({ ...claim, state: isHeld ? "held" : "waiting", condition });
  }
  return { lock, holders, waiting };
}

/** A claim that is known to hold its lock. */
export function viewHolder(claim: Claim, perspective: Perspective): ClaimView {
  return { ...claim, state: "held", condition: conditionOf(claim, true, perspective.isOwnerGone(claim)) };
}

/** All claims on a lock: its holders, and then those who wait. */
export function claimsOn({ holders, waiting }: LockView): readonly ClaimView[] {
  return [...holders, ...waiting];
}

/** How a lock is held: by a type of lease, or by a process. */
export type HeldAs = LeaseType | "process";

/** How some claims hold their lock, each way once. */
export function typesOf(holders: readonly Pick<Claim, "lease">[]): readonly HeldAs[] {
  return [...new Set(holders.map(({ lease }) => lease?.type ?? "process"))];
}

/** Contenders for a lock that share a key but name different slots. */
export interface Disagreement {
  readonly key: string | null;
  /** The nodes that name each number of slots, by that number, ascending. */
  readonly slots: ReadonlyMap<number, readonly string[]>;
}

/** Where the contenders for a lock disagree on its slots. The rule has an answer all the same; people may not expect it. */
export function disagreementsOn(view: LockView): readonly Disagreement[] {
  const claims = claimsOn(view);
  const keys = new Set(claims.map(({ key }) => key));
  return [...keys].flatMap((key) => {
    const sharing = claims.filter((claim) => claim.key === key);
    const named = [...new Set(sharing.map(({ slots }) => slots))].sort((one, other) => one - other);
    if (named.length < 2) return [];
    const nodesOf = (slots: number) => [...new Set(sharing.flatMap((claim) => (claim.slots === slots ? [claim.owner.node] : [])))];
    return [{ key, slots: new Map(named.map((slots) => [slots, nodesOf(slots)])) }];
  });
}
