// A lock's queue for people and for programs: who holds, who waits, since when, why, and whether their agents live.
import { ordinal } from "../actions/line.js";
import { conditionOf } from "../locks/claim.js";
import type { Claim, Condition, Owner } from "../locks/claim.js";
import { isHeld } from "../locks/rule.js";
import type { Paint } from "./io.js";
import { ago, isoTime, lastLineOf, renderColumns, sanitize } from "./render.js";
import type { Cell } from "./render.js";

/** A claim with what its queue says of it. */
export interface StandingClaim {
  readonly claim: Claim;
  readonly held: boolean;
  readonly condition: Condition;
  /** Of a waiting claim: 1 is next. Of a held one: 0. */
  readonly place: number;
}

/** A lock with all its claims, in queue order. */
export interface LockState {
  readonly lock: string;
  readonly claims: readonly StandingClaim[];
}

/** Applies the rule to a queue. */
export function stateOf(lock: string, queue: readonly Claim[], ownerGone: (claim: Claim) => boolean): LockState {
  let waiting = 0;
  const claims = queue.map((claim, position) => {
    const held = isHeld(queue, position);
    if (!held) waiting += 1;
    return { claim, held, condition: conditionOf(claim, held, ownerGone(claim)), place: held ? 0 : waiting };
  });
  return { lock, claims };
}

/** A lock as `locks --json` gives it. */
export function lockAsJson({ lock, claims }: LockState) {
  const standing = (held: boolean) => claims.filter((claim) => claim.held === held).map(claimAsJson);
  return { lock, holders: standing(true), waiting: standing(false) };
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
    since: isoTime(claim.since),
    expiresAt: claim.expiresAt === null ? null : isoTime(claim.expiresAt),
    fencingToken: claim.fencingToken,
    reason: claim.reason,
    data: claim.data ?? null,
    failure: failure === null ? null : { ...failure, at: isoTime(failure.at) },
  };
}

/** An owner as `--json` gives it. */
export function ownerAsJson({ node, principal, action, process }: Owner) {
  return { node, principal, action, pid: process?.pid ?? null };
}

const HEADINGS = ["LOCK", "PLACE", "NODE", "WHAT", "SINCE", "BY", "STATE"] as const;

/** Locks as lines of text; `now` is the coordinator's. */
export function renderLocks(states: readonly LockState[], now: number, paint: Paint): string[] {
  const rows: Cell[][] = [HEADINGS.map((text) => ({ text, paint: (shown) => paint("dim", shown) }))];
  // Lines below a row that belong to it but not into its columns.
  const notes = new Map<number, string[]>();
  for (const { lock, claims } of states) {
    claims.forEach((standing, index) => {
      rows.push([index === 0 ? lock : "", ...claimCells(standing, now, paint)]);
      notes.set(rows.length - 1, claimNotes(standing, paint));
    });
  }
  const lines = renderColumns(rows).flatMap((line, row) => [line, ...(notes.get(row) ?? [])]);
  if (states.some(({ claims }) => claims.some(({ condition }) => condition === "failed" || condition === "stale"))) {
    lines.push(
      "",
      paint("dim", "A failed or stale claim ends when its node runs the action again (there: holdline run, or holdline resume),"),
    );
    lines.push(paint("dim", "or when an admin ends it: holdline clear LOCK --reason TEXT"));
  }
  return lines;
}

/** One claim in one line, for lists of candidates: "web-07: restart-nginx, since 12 min ago, FAILED …, claim 3f…". */
export function describeClaim({ claim, condition }: StandingClaim, now: number): string {
  const { owner } = claim;
  const words = `${owner.node}: ${whatOf(claim)} by ${owner.principal}, since ${ago(claim.since, now)}, ${stateOfClaim(claim, condition, now)}`;
  return sanitize(`${words} (claim ${claim.id})`);
}

function claimCells(standing: StandingClaim, now: number, paint: Paint): Cell[] {
  const { claim, held, condition, place } = standing;
  const colour = condition === "failed" ? "red" : condition === "stale" ? "yellow" : condition === "waiting" ? "dim" : "green";
  return [
    held ? "held" : ordinal(place),
    claim.owner.node,
    whatOf(claim),
    ago(claim.since, now),
    claim.owner.principal,
    { text: stateOfClaim(claim, condition, now), paint: (text) => paint(colour, text) },
  ];
}

function claimNotes({ claim, condition }: StandingClaim, paint: Paint): string[] {
  const notes: string[] = [];
  if (claim.failure !== null) {
    const output = lastLineOf(claim.failure.output);
    if (output !== "") notes.push(`last output: ${output}`);
  }
  if (condition === "failed" || condition === "stale") notes.push(`claim ${claim.id}`);
  if (claim.reason !== null && claim.reason !== "") notes.push(`reason: ${claim.reason}`);
  if (claim.data !== null && claim.data !== undefined) notes.push(`data: ${JSON.stringify(claim.data)}`);
  return notes.map((note) => `    ${paint("dim", sanitize(note))}`);
}

/** What an owner does with the lock. */
function whatOf({ owner, key, expiresAt }: Claim): string {
  const what = owner.action ?? (expiresAt === null ? (owner.process === null ? "another program" : "a command") : "a lease");
  return key === null ? what : `${what} [${key}]`;
}

function stateOfClaim(claim: Claim, condition: Condition, now: number): string {
  switch (condition) {
    case "failed": {
      const { failure, owner } = claim;
      return failure === null ? "FAILED" : `FAILED on ${owner.node} ${ago(failure.at, now)}: ${failure.message}`;
    }
    case "stale":
      return "STALE: its agent is gone";
    case "leased":
      return claim.expiresAt === null ? "leased" : `leased until ${isoTime(claim.expiresAt)}`;
    case "running":
      return "running, its agent lives";
    case "waiting":
      return "waiting";
  }
}
