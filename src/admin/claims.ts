// A lock's queue as it is looked at: the rule applied to it, the condition of each claim, and all of it for programs. What
// people read of it is listing.ts's.
import { conditionOf } from "../locks/claim.js";
import type { Claim, Condition, Failure, Lease, Owner } from "../locks/claim.js";
import { typesOf } from "../leases/hosts.js";
import { isInHand } from "../line/holders.js";
import type { Perspective } from "../line/perspective.js";
import { isoTime } from "../locks/durations.js";

/** A claim with what its queue says of it. */
export interface StandingClaim {
  readonly claim: Claim;
  readonly held: boolean;
  readonly condition: Condition;
  readonly isOwnerGone: boolean;
  /** Of a waiting claim: 1 is next. Of a held one: 0. */
  readonly place: number;
}

/** A lock with all its claims, in queue order. */
export interface LockState {
  readonly lock: string;
  readonly claims: readonly StandingClaim[];
}

/** Contenders for a lock that share a key, and yet say different things of how many may hold it. */
export interface Disagreement {
  readonly key: string | null;
  /** By what they say, ascending, the nodes that say so. */
  readonly slots: ReadonlyMap<number, readonly string[]>;
}

/** Where the contenders for a lock disagree on its slots. The rule has an answer all the same; people may not expect it. */
export function disagreementsOf({ claims }: LockState): readonly Disagreement[] {
  const keys = new Set(claims.map(({ claim }) => claim.key));
  return [...keys].flatMap((key) => {
    const sharing = claims.flatMap(({ claim }) => (claim.key === key ? [claim] : []));
    const said = [...new Set(sharing.map(({ slots }) => slots))].sort((one, other) => one - other);
    if (said.length < 2) return [];
    const nodesOf = (slots: number) => [...new Set(sharing.flatMap((claim) => (claim.slots === slots ? [claim.owner.node] : [])))];
    return [{ key, slots: new Map(said.map((slots) => [slots, nodesOf(slots)])) }];
  });
}

/** Applies the rule to a queue. */
export function stateOf(lock: string, queue: readonly Claim[], perspective: Perspective): LockState {
  let waiting = 0;
  const claims = queue.map((claim, position) => {
    const held = isInHand(queue, position);
    if (!held) waiting += 1;
    const isOwnerGone = perspective.isOwnerGone(claim);
    return { claim, held, condition: conditionOf(claim, held, isOwnerGone), isOwnerGone, place: held ? 0 : waiting };
  });
  return { lock, claims };
}

/** A claim that is known to hold its lock. */
export function holderOf(claim: Claim, { perspective }: { readonly perspective: Perspective }): StandingClaim {
  const isOwnerGone = perspective.isOwnerGone(claim);
  return { claim, held: true, condition: conditionOf(claim, true, isOwnerGone), isOwnerGone, place: 0 };
}

/** Locks as `locks --json` gives them. */
export function locksAsJson(states: readonly LockState[]) {
  return { locks: states.map(lockAsJson) };
}

/** One of them. */
export function lockAsJson({ lock, claims }: LockState) {
  const standing = (held: boolean) => claims.filter((claim) => claim.held === held).map(claimAsJson);
  return { lock, holders: standing(true), waiting: standing(false) };
}

/** A lock as `status --json` gives it. */
export function statusAsJson(state: LockState) {
  const { lock, ...claims } = lockAsJson(state);
  const types = typesOf(holdersOf(state));
  return { lock, locked: types.length > 0, types, ...claims };
}

/** Those who hold the lock. */
export function holdersOf({ claims }: LockState): readonly Claim[] {
  return claims.filter(({ held }) => held).map(({ claim }) => claim);
}

/** A claim as `--json` gives it. */
export function claimAsJson({ claim, held, condition }: StandingClaim) {
  const { failure } = claim;
  return {
    id: claim.id,
    state: held ? "held" : "waiting",
    condition,
    durable: claim.durable,
    key: claim.key,
    slots: Number.isFinite(claim.slots) ? claim.slots : null,
    owner: ownerAsJson(claim.owner),
    lease: leaseAsJson(claim.lease),
    since: isoTime(claim.since),
    expiresAt: claim.expiresAt === null ? null : isoTime(claim.expiresAt),
    fencingToken: claim.fencingToken,
    reason: claim.reason,
    data: claim.data ?? null,
    failure: failureAsJson(failure),
  };
}

/** A failure as `--json` gives it. */
export function failureAsJson(failure: Failure | null) {
  return failure === null ? null : { ...failure, at: isoTime(failure.at) };
}

/** An owner as `--json` gives it. */
export function ownerAsJson({ node, machine = null, principal, action, process }: Owner) {
  return { node, machine, principal, action, pid: process?.pid ?? null };
}

/** A lease as `--json` gives it; `null` for the claim of a process. */
export function leaseAsJson(lease: Lease | null) {
  return lease === null ? null : { type: lease.type, caller: lease.caller, path: lease.path };
}
