// Locks, claims, leases and history records as JSON: the documents of `--json`, of the HTTP API and of the page's script.
// Pure, and its types are what the page is written against.
import type { Claim, Failure, Lease, Owner, Stage } from "../locks/claim.js";
import type { Freeze } from "../locks/freezes.js";
import type { HistoryRecord } from "../locks/history.js";
import { isoTime } from "../locks/durations.js";
import type { SeenFreezes } from "./freezes.js";
import { typesOf } from "./lock.js";
import type { ClaimView, LockView } from "./lock.js";

export type ClaimJson = ReturnType<typeof claimAsJson>;
/** Both lists of a lock are empty when nobody claims it. */
export type LockJson = ReturnType<typeof lockAsJson>;
export type FreezeJson = ReturnType<typeof freezeAsJson>;
export type RecordJson = ReturnType<typeof recordAsJson>;

/** Locks as `locks --json` gives them, with the freezes in force. */
export function locksAsJson(views: readonly LockView[], freezes: SeenFreezes) {
  return { locks: views.map(lockAsJson), ...freezesAsJson(freezes) };
}

/** Freezes as `freezes --json` gives them. `freezesUnreadable` is there only where it is true. */
export function freezesAsJson({ freezes, problem }: SeenFreezes) {
  return { freezes: freezes.map(freezeAsJson), ...(problem === null ? {} : { freezesUnreadable: true }) };
}

export function lockAsJson({ lock, holders, waiting }: LockView) {
  return { lock, holders: holders.map(claimAsJson), waiting: waiting.map(claimAsJson) };
}

/** A lock as `status --json` and `/v1/hosts` give it. */
export function statusAsJson(view: LockView) {
  const { lock, ...claims } = lockAsJson(view);
  const types = typesOf(view.holders);
  return { lock, locked: types.length > 0, types, ...claims };
}

export function claimAsJson(claim: ClaimView) {
  return {
    id: claim.id,
    state: claim.state,
    condition: claim.condition,
    durable: claim.durable,
    key: claim.key,
    slots: slotsAsJson(claim),
    percent: claim.percent ?? null,
    owner: ownerAsJson(claim.owner),
    lease: leaseTermsAsJson(claim.lease),
    since: isoTime(claim.since),
    stage: stageAsJson(claim.stage),
    expiresAt: timeAsJson(claim.expiresAt),
    fencingToken: claim.fencingToken,
    reason: claim.reason,
    data: claim.data ?? null,
    failure: failureAsJson(claim.failure),
  };
}

/** A lease as `/v1/leases` gives it. */
export function leaseAsJson(claim: Claim) {
  const { lease } = claim;
  return {
    id: claim.id,
    locks: lease?.locks ?? [],
    type: lease?.type ?? null,
    key: claim.key,
    slots: slotsAsJson(claim),
    principal: claim.owner.principal,
    caller: lease?.caller ?? null,
    path: lease?.path ?? null,
    reason: claim.reason,
    data: claim.data ?? null,
    expiresAt: timeAsJson(claim.expiresAt),
    fencingToken: claim.fencingToken,
  };
}

/** A freeze as `freezes --json`, `locks --json` and the HTTP API give it. */
export function freezeAsJson({ id, locks, node, group, reason, by, since, until }: Freeze) {
  return { id, locks: [...locks], node, group, reason, by, since: isoTime(since), until: timeAsJson(until) };
}

/** A record as `history --json` and `/v1/history` give it. */
export function recordAsJson(record: HistoryRecord) {
  const { lock, claim, event, by, reason, description } = record;
  return {
    lock,
    claim,
    owner: ownerAsJson(record.owner),
    lease: leaseTermsAsJson(record.lease),
    event,
    by,
    reason,
    claimedAt: isoTime(record.claimedAt),
    endedAt: isoTime(record.endedAt),
    description,
    data: record.data ?? null,
    failure: failureAsJson(record.failure),
  };
}

/** JSON has no infinity: `null` means any number. */
function slotsAsJson({ slots }: Claim): number | null {
  return Number.isFinite(slots) ? slots : null;
}

function timeAsJson(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}

/** How far the work under a claim has come; `null` where its owner has noted nothing. */
function stageAsJson(stage: Stage | undefined) {
  if (stage === undefined) return null;
  return { name: stage.name, since: isoTime(stage.since), until: timeAsJson(stage.until), drained: stage.drained };
}

function failureAsJson(failure: Failure | null) {
  return failure === null ? null : { ...failure, at: isoTime(failure.at) };
}

function ownerAsJson({ node, group = "default", machine = null, principal, action, process }: Owner) {
  return { node, group, machine, principal, action, pid: process?.pid ?? null };
}

/** How a lock taken by hand is meant, inside a claim or a record; `null` for the claim of a process. */
function leaseTermsAsJson(lease: Lease | null) {
  return lease === null ? null : { type: lease.type, caller: lease.caller, path: lease.path };
}
