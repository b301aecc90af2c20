// A claim: its record in a store, its owner, and how to read both back from bytes that anyone may have written.
import { isTooDeep } from "./data.js";
import { lockNameProblem } from "./names.js";
import type { Contender } from "./rule.js";

/** A process that cannot be mistaken for a later one with the same pid. Wall time plays no part in it. */
export interface ProcessIdentity {
  /** The kernel's id of this boot; `null` where the system has none. */
  readonly bootId: string | null;
  /** The pid namespace, as `/proc/self/ns/pid` names it; `null` where there is none. */
  readonly pidNamespace: string | null;
  readonly pid: number;
  /** Clock ticks from boot to the process's start; `null` where the system has none. */
  readonly startTicks: number | null;
}

/** Whether both are the same process. A later process with the same pid is another one. */
export function isSameProcess(one: ProcessIdentity | null, other: ProcessIdentity | null): boolean {
  if (one === null || other === null) return false;
  return (["pid", "startTicks", "bootId", "pidNamespace"] as const).every((key) => one[key] === other[key]);
}

/** The maker of a claim. */
export interface Owner {
  readonly node: string;
  /** The group that the node counts with in percentages, freezes and rollouts; missing in claims of 0.1. */
  readonly group?: string;
  readonly principal: string;
  /** The declared action that the claim is for; `null` for leases and the library. */
  readonly action: string | null;
  /** `null` for leases, which depend on none, and for contenders that are not Holdline's. */
  readonly process: ProcessIdentity | null;
  /** The machine's identity, whatever its name; only claims of actions have it. */
  readonly machine?: string | null;
}

/** Why a durable claim is kept although its action has ended. It makes the claim toxic. */
export interface Failure {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** In words: what failed, for the people who wait behind it. */
  readonly message: string;
  /** The last 4 KiB of the failed command's output. */
  readonly output: string;
  /** Milliseconds since 1970 by the coordinator's clock. */
  readonly at: number;
}

/** The stages in which the work under a durable claim can be. `running` is what is meant where none is noted. */
export const STAGES = ["draining", "running", "verifying", "soaking", "rebooting", "open"] as const;
export type StageName = (typeof STAGES)[number];

/** How far the work under a durable claim has come, as its owner has noted it. Times are milliseconds since 1970 by the coordinator's clock. */
export interface Stage {
  readonly name: StageName;
  readonly since: number;
  /** When it will be over, or will have failed; `null` where nobody can say. */
  readonly until: number | null;
  /** Whether the action's hook `before` has begun under this claim, so that `after` is owed. */
  readonly drained: boolean;
}

/** A moment of a node's own running time, to compare with process starts. */
export interface BootMoment {
  readonly bootId: string | null;
  /** Clock ticks since boot; `null` where the system has none and `wallMs` is compared instead. */
  readonly ticks: number | null;
  /** Milliseconds since 1970 by the node's clock: used only where there are no ticks. */
  readonly wallMs: number;
}

/** Whether both are known, and are of two boots. */
export function areOfTwoBoots(one: Pick<BootMoment, "bootId">, other: Pick<BootMoment, "bootId">): boolean {
  return one.bootId !== null && other.bootId !== null && one.bootId !== other.bootId;
}

/** The later of two moments of one node. Boots have no order: when they differ, `noted` is later, since it was noted after the other. */
export function laterOf(earlier: BootMoment, noted: BootMoment): BootMoment {
  if (earlier.bootId !== noted.bootId) return noted;
  const isLater = earlier.ticks !== null && noted.ticks !== null ? earlier.ticks > noted.ticks : earlier.wallMs > noted.wallMs;
  return isLater ? earlier : noted;
}

/** The type of a lock taken by hand. What each type shares with is in leases/hosts.ts. */
export const LEASE_TYPES = ["lease", "generic", "host", "file"] as const;
export type LeaseType = (typeof LEASE_TYPES)[number];

/** Makes a durable claim a lease: it belongs to a person or a script, and depends on no process. */
export interface Lease {
  readonly type: LeaseType;
  /** On whose behalf the principal acts: a program, a ticket, a name; `null` if nobody was named. */
  readonly caller: string | null;
  /** Of a `file` lock, the path that it is for. */
  readonly path: string | null;
  /** All locks that the claim stands on, so that a reader of one entry finds the others. */
  readonly locks: readonly string[];
}

/** The part of a claim that its owner writes. The store itself knows everything else in {@link Claim}. */
export interface ClaimRecord {
  readonly owner: Owner;
  readonly key: string | null;
  readonly slots: number;
  /** When the durable claim was made, by the node's own running time; `null` for ephemeral ones. */
  readonly made: BootMoment | null;
  /** `null` for the claim of a process. */
  readonly lease: Lease | null;
  /** Of a lease with a TTL: milliseconds since 1970 by the coordinator's clock. */
  readonly expiresAt: number | null;
  readonly reason: string | null;
  readonly data: unknown;
  readonly failure: Failure | null;
  /** Of a durable claim of an action; missing where nothing was noted. */
  readonly stage?: Stage;
  /** Where `slots` was reckoned as a percentage of the group's nodes: that percentage. */
  readonly percent?: number;
}

/** The record of a claim of which nothing but its owner is known: an exclusive one, because garbage is never free. */
export function bareRecord(owner: Owner): ClaimRecord {
  return { owner, key: null, slots: 1, made: null, lease: null, expiresAt: null, reason: null, data: null, failure: null };
}

/** A claim as a coordinator reads it, in its queue. */
export interface Claim extends ClaimRecord, Contender {
  /** Shared by the entries of one claimant in several queues. For foreign contenders, the store's name of the entry. */
  readonly id: string;
  readonly lock: string;
  /** The store's own name of this entry: what the coordinator's methods take. */
  readonly ref: string;
  /** Changes with every write to the entry: conditional writes name the revision that was read. */
  readonly revision: number;
  /** Outlives its session. */
  readonly durable: boolean;
  /**
   * Whether the store knows the process that made the claim to be connected. Always true for an ephemeral claim, which ends with
   * its process, and for a lease, which depends on none.
   */
  readonly alive: boolean;
  /** When it was joined, or for a durable one settled: milliseconds since 1970 by the coordinator's clock. */
  readonly since: number;
  /** Grows with every change of holder; `null` while the claim waits and for ephemeral claims. */
  readonly fencingToken: number | null;
}

/** The condition of a claim, for people and for `locks --json`. */
export type Condition = StageName | "stale" | "failed" | "leased" | "waiting";

/**
 * The condition of a claim in its queue.
 * @param held whether the rule says that the claim is held
 * @param ownerGone whether its process is known to be gone
 */
export function conditionOf(claim: Claim, held: boolean, ownerGone: boolean): Condition {
  if (claim.failure !== null) return "failed";
  if (!held) return "waiting";
  if (claim.lease !== null) return "leased";
  if (!claim.durable) return "running";
  // A machine that reboots is expected to be gone for a while.
  if (claim.stage?.name === "rebooting") return "rebooting";
  return ownerGone ? "stale" : (claim.stage?.name ?? "running");
}

const RECORD_VERSION = 1;

/** The record of a claim as text for a store. */
export function encodeRecord(record: ClaimRecord): string {
  const { owner, key, slots, made, lease, expiresAt, reason, data, failure, stage, percent } = record;
  return JSON.stringify({
    v: RECORD_VERSION,
    owner,
    key,
    slots: Number.isFinite(slots) ? slots : null,
    made,
    lease,
    expiresAt,
    reason,
    data,
    failure,
    stage,
    percent,
  });
}

/**
 * The record in a store's text; `null` if the text has none. A caller must then treat the entry as an exclusive claim of
 * somebody else: garbage is never free.
 */
export function decodeRecord(text: string): ClaimRecord | null {
  try {
    return readRecord(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The record in the JSON value of a store's text; `null` if the value is none. */
export function readRecord(value: unknown): ClaimRecord | null {
  if (!isObject(value) || value["v"] !== RECORD_VERSION) return null;
  const owner = decodeOwner(value["owner"]);
  const key = value["key"];
  const slots = value["slots"] === null ? Number.POSITIVE_INFINITY : value["slots"];
  if (owner === null || !isTextOrNull(key) || !isSlots(slots)) return null;
  if (!isNumberOrNull(value["expiresAt"]) || !isTextOrNull(value["reason"])) return null;
  const made = decodeMoment(value["made"]);
  const lease = decodeLease(value["lease"]);
  const failure = decodeFailure(value["failure"]);
  if (made === undefined || lease === undefined || failure === undefined || isTooDeep(value["data"])) return null;
  const { expiresAt, reason, data } = value;
  const stage = decodeStage(value["stage"]);
  const percent = value["percent"];
  return {
    ...{ owner, key, slots, made, lease, expiresAt, reason, data: data ?? null, failure },
    ...(stage === null ? {} : { stage }),
    ...(typeof percent === "number" && Number.isFinite(percent) ? { percent } : {}),
  };
}

/** Reads a {@link Stage}; `null` for anything else: a later version may know stages that this one does not. */
function decodeStage(value: unknown): Stage | null {
  if (!isObject(value)) return null;
  const { name, since, until, drained } = value;
  if (!(STAGES as readonly unknown[]).includes(name) || !Number.isFinite(since) || !isNumberOrNull(until)) return null;
  return { name: name as StageName, since: since as number, until, drained: drained === true };
}

/** Whether `value` can be a claim's slots: a whole number from 1, or no limit. */
export function isSlots(value: unknown): value is number {
  return typeof value === "number" && value >= 1 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY);
}

/** Reads a {@link ProcessIdentity}; `null` for anything else. */
export function decodeIdentity(value: unknown): ProcessIdentity | null {
  if (!isObject(value)) return null;
  const { bootId, pidNamespace, pid, startTicks } = value;
  if (!isTextOrNull(bootId) || !isTextOrNull(pidNamespace) || !isNumberOrNull(startTicks)) return null;
  if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 1) return null;
  return { bootId, pidNamespace, pid, startTicks };
}

/** Reads a {@link BootMoment}: `null` when there is none, `undefined` for anything else. */
export function decodeMoment(value: unknown): BootMoment | null | undefined {
  if (value === null || value === undefined) return null;
  if (!isObject(value) || !isTextOrNull(value["bootId"]) || !isNumberOrNull(value["ticks"])) return undefined;
  if (!Number.isFinite(value["wallMs"])) return undefined;
  return { bootId: value["bootId"], ticks: value["ticks"], wallMs: value["wallMs"] as number };
}

function decodeOwner(value: unknown): Owner | null {
  if (!isObject(value)) return null;
  const { node, principal, action } = value;
  if (typeof node !== "string" || typeof principal !== "string" || !isTextOrNull(action)) return null;
  const process = value["process"] === null ? null : decodeIdentity(value["process"]);
  if (value["process"] !== null && process === null) return null;
  const { machine, group } = value;
  return {
    ...{ node, principal, action, process },
    ...(typeof machine === "string" ? { machine } : {}),
    ...(typeof group === "string" ? { group } : {}),
  };
}

function decodeLease(value: unknown): Lease | null | undefined {
  if (value === null || value === undefined) return null;
  if (!isObject(value)) return undefined;
  const { type, caller, path, locks } = value;
  if (!(LEASE_TYPES as readonly unknown[]).includes(type) || !isTextOrNull(caller) || !isTextOrNull(path)) return undefined;
  if (!Array.isArray(locks) || !locks.every((lock) => lockNameProblem(lock) === null)) return undefined;
  return { type: type as LeaseType, caller, path, locks };
}

/** Reads a {@link Failure}: `null` when there is none, `undefined` for anything else. */
export function decodeFailure(value: unknown): Failure | null | undefined {
  if (value === null || value === undefined) return null;
  if (!isObject(value)) return undefined;
  const { exitCode, signal, message, output, at } = value;
  if (!isNumberOrNull(exitCode) || !isTextOrNull(signal)) return undefined;
  if (typeof message !== "string" || typeof output !== "string" || !Number.isFinite(at)) return undefined;
  return { exitCode, signal, message, output, at: at as number };
}

/** Whether it is a plain object, such as JSON makes. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

function isNumberOrNull(value: unknown): value is number | null {
  return value === null || (typeof value === "number" && Number.isFinite(value));
}
