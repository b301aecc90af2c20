// The drafts, records and shorthands that all parts of the suite use.
import { randomUUID } from "node:crypto";
import type { Claim, ClaimRecord, Lease, Owner } from "../locks/claim.js";
import type {
  Coordinator,
  CoordinatorOptions,
  Draft,
  EntryRef,
  Joined,
  JustSettled,
  QueuePosition,
  Settled,
} from "../locks/coordinator.js";
import type { Ending } from "../locks/history.js";
import type { Timers } from "../queue/asking.js";
import { uptimeMs } from "../uptime.js";
import { until } from "./until.js";

/** The coordinator's options in tests. */
export const TEST_OPTIONS: CoordinatorOptions = {
  connectTimeoutMs: 10_000,
  // Long enough that a busy machine loses no session by itself, short enough that a test can wait for an expiry.
  sessionTimeoutMs: 4_000,
  historyKeep: 100,
  sleepTimeMs: 50,
  log: testLog(),
};

/** Time for an engine that a test opens: this machine's own. */
export const TEST_TIMERS: Timers = {
  uptimeMs,
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

function testLog(): CoordinatorOptions["log"] {
  const print = (level: string) => (details: object, message: string) => {
    if (process.env["HOLDLINE_TEST_LOG"] !== undefined) process.stderr.write(`${level} ${message} ${JSON.stringify(details)}\n`);
  };
  return { debug: print("debug"), info: print("info"), warn: print("warn"), error: print("error") };
}

export function ownerAt(node: string): Owner {
  const process = {
    bootId: "7c5d8a5e-0000-4000-8000-000000000000",
    pidNamespace: "pid:[4026531836]",
    pid: 4242,
    startTicks: 987_654,
  };
  return { node, principal: `deploy@${node}`, action: "restart-nginx", process };
}

/** A draft for one or several locks. */
export function draftFor(locks: string | readonly string[], details: Partial<Draft> = {}): Draft {
  return {
    id: randomUUID(),
    locks: typeof locks === "string" ? [locks] : locks,
    key: null,
    slots: 1,
    owner: ownerAt("web-01"),
    reason: null,
    data: null,
    settles: true,
    lease: null,
    ...details,
  };
}

/** The record of a draft's claim when it becomes durable. */
export function recordFor(draft: Draft, details: Partial<ClaimRecord> = {}): ClaimRecord {
  const { key, slots, owner, reason, data, lease } = draft;
  const made = { bootId: "7c5d8a5e-0000-4000-8000-000000000000", ticks: 1_000_000, wallMs: 1_700_000_000_000 };
  return { owner, key, slots, made, lease, expiresAt: null, reason, data, failure: null, ...details };
}

/** What makes a claim on these locks a person's. */
export function leaseOn(locks: readonly string[], details: Partial<Lease> = {}): Lease {
  return { type: "lease", caller: null, path: null, locks, ...details };
}

/** A claim that has been joined and settled. */
export interface Taken {
  readonly draft: Draft;
  readonly joined: Joined;
  readonly settled: JustSettled;
}

export async function takeDurably(
  coordinator: Coordinator,
  locks: string | readonly string[],
  details?: Partial<Draft>,
): Promise<Taken> {
  const draft = draftFor(locks, details);
  const joined = await coordinator.join(draft);
  const settled = await coordinator.settle(draft, joined, recordFor(draft));
  return { draft, joined, settled };
}

/** Between which times the store's clock is now, by whichever session it is asked: it is known only so well. */
export async function timesOf(coordinator: Coordinator): Promise<{ readonly earliest: number; readonly latest: number }> {
  const { ms } = await coordinator.sync();
  const errorMs = 2 * coordinator.traits.clockErrorMs;
  return { earliest: ms - errorMs, latest: ms + errorMs };
}

/** A moment that is past, whichever session judges that, and just so. */
export async function justPast(coordinator: Coordinator): Promise<number> {
  return (await timesOf(coordinator)).earliest - coordinator.traits.clockErrorMs - 1;
}

export const RELEASED: Ending = { event: "released", by: "deploy@web-01", reason: null };

/** What a conditional write that succeeded has made of a claim. */
export function settledOf(outcome: Settled | "gone" | "changed"): Settled {
  if (typeof outcome === "string") throw new Error(`the write's outcome was "${outcome}"`);
  return outcome;
}

/** The only standing of a claim on one lock. */
export function only(joined: Joined): QueuePosition {
  if (joined.positions.length !== 1) throw new Error(`${joined.positions.length} standings, expected one`);
  return joined.positions[0] as QueuePosition;
}

export function onlyEntry(settled: Settled): EntryRef {
  if (settled.entries.length !== 1) throw new Error(`${settled.entries.length} entries, expected one`);
  return settled.entries[0] as EntryRef;
}

export function entryOf({ lock, ref, revision }: EntryRef): EntryRef {
  return { lock, ref, revision };
}

/** The ids in a lock's queue, in order. */
export async function idsIn(coordinator: Coordinator, lock: string): Promise<readonly string[]> {
  return (await coordinator.queue(lock)).map(({ id }) => id);
}

/** The only claim in a lock's queue. */
export async function claimIn(coordinator: Coordinator, lock: string): Promise<Claim> {
  const queue = await coordinator.queue(lock);
  if (queue.length !== 1) throw new Error(`${queue.length} claims on ${lock}, expected one`);
  return queue[0] as Claim;
}

export async function untilEmpty(coordinator: Coordinator, lock: string, deadlineMs?: number): Promise<void> {
  const looked = async (): Promise<boolean> => (await coordinator.queue(lock)).length === 0;
  await until(
    looked,
    deadlineMs === undefined ? `the queue of ${lock} to be empty` : { what: `the queue of ${lock} to be empty`, deadlineMs },
  );
}
