// What people and their scripts do with leases: who takes which, for how long, and what becomes of it then. Drawn from the
// choices; plain data. Doing it is people.ts's.
import { sharingOf } from "../../src/leases/hosts.js";
import type { LeaseRequest } from "../../src/leases/request.js";
import type { Choices } from "./choices.js";

/** Something that anybody who knows a claim's id may do to it. `ask`: whether it is held. */
export type Deed = { readonly afterMs: number } & (
  { readonly kind: "renew"; readonly ttlMs: number | null } | { readonly kind: "change" | "ask" | "release" | "unlock" }
);

/** Somebody takes a lease, and acts upon it while it is in hand. Without a release among the deeds it is left to its time. */
export interface LeaseJob {
  readonly kind: "lease";
  readonly request: Pick<LeaseRequest, "locks" | "type" | "key" | "slots" | "ttlMs" | "waitMs" | "alone">;
  readonly deeds: readonly Deed[];
}

/** Somebody acts upon a claim of which they know the id. */
export interface ByIdJob {
  readonly kind: "by-id";
  /** `null`: one that they see in the queues, whosever it is. */
  readonly claim: string | null;
  readonly deeds: readonly Deed[];
}

export function drawLeaseJob(choices: Choices, node: number, locks: readonly string[]): LeaseJob | ByIdJob {
  if (choices.percent(25))
    return { kind: "by-id", claim: null, deeds: drawDeeds(choices, ["change", "renew", "release", "unlock"]) };
  const waitMs = choices.pick([null, null, 0, 6_000]);
  const request = {
    ...drawWhat(choices, node, locks),
    ttlMs: drawTtl(choices),
    waitMs,
    // As `lock --ensure-unlocked` has it: it does not wait.
    alone: waitMs === 0 && choices.percent(30),
  };
  return { kind: "lease", request, deeds: drawDeeds(choices, ["release", "release", "unlock", "ask"]) };
}

/** A lease on one lock, or one on a host along with those that it depends on. */
function drawWhat(
  choices: Choices,
  node: number,
  locks: readonly string[],
): Pick<LeaseRequest, "locks" | "type" | "key" | "slots"> {
  const first = choices.below(locks.length);
  if (locks.length === 1 || !choices.percent(50)) {
    const key = choices.percent(25) ? `rack${node % 2}` : null;
    const slots = key === null ? choices.pick([1, 1, 2]) : Number.POSITIVE_INFINITY;
    return { locks: [locks[first] as string], type: "lease", key, slots };
  }
  const type = choices.pick(["host", "generic", "file"] as const);
  const count = Math.min(locks.length, choices.pick([2, 2, 3]));
  const chosen = Array.from({ length: count }, (_, index) => locks[(first + index) % locks.length] as string);
  return { locks: chosen, type, ...sharingOf(type) };
}

// Shorter and longer than what can hold up a renewal, and than the pauses between deeds.
function drawTtl(choices: Choices): number | null {
  return choices.pick([8_000, 3_000, 20_000, 60_000, null]);
}

function drawDeeds(choices: Choices, last: readonly Exclude<Deed["kind"], "renew">[] | readonly Deed["kind"][]): readonly Deed[] {
  const kinds = Array.from({ length: choices.pick([0, 0, 1, 2]) }, () => choices.pick(["renew", "change", "ask"] as const));
  return [...kinds, choices.pick(last)].map((kind) => {
    const afterMs = choices.pick([500, 0, 3_000, 9_000, 25_000]);
    return kind === "renew" ? { kind, afterMs, ttlMs: drawTtl(choices) } : { kind, afterMs };
  });
}

/** The job in words, for a trace. */
export function describeLeaseJob(job: LeaseJob | ByIdJob): string {
  const then = job.deeds.map(({ kind }) => kind).join(", ");
  if (job.kind === "by-id") return `${then} by a claim's id`;
  const { locks, type, key, slots, ttlMs, waitMs, alone } = job.request;
  const sharing = `${key === null ? "" : `, key ${key}`}${key === null && slots > 1 ? `, ${slots} slots` : ""}`;
  const waiting = waitMs === null ? "" : `, waits ${waitMs} ms`;
  const lasting = ttlMs === null ? "until it is released" : `for ${ttlMs} ms`;
  return `${type} lease on ${locks.join(" and ")} ${lasting}${sharing}${waiting}${alone ? ", alone" : ""}; then ${then}`;
}
