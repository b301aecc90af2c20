// What the engine's entries and archive records mean: a stored entry as a claim, and an ending as text and back.
import { randomUUID } from "node:crypto";
import { bareRecord, type Claim, type ClaimRecord, decodeFailure, decodeRecord, encodeRecord, isObject } from "../locks/claim.js";
import type { Ahead, EntryRef } from "../locks/coordinator.js";
import type { Ending, HistoryEvent, HistoryRecord, Notice } from "../locks/history.js";
import type { Archived, StoredEntry, StoredPlace } from "./store.js";

const NOBODY = { node: "unknown", principal: "unknown", action: null, process: null };

/** Whether an entry is there no more although the store still has it: its session has ended, and it goes with that. */
export function isBereft({ durable, isSessionAlive }: StoredPlace): boolean {
  return !durable && !isSessionAlive;
}

/** What an entry is called among those of all locks. */
export function nameOf({ lock, ref }: Pick<EntryRef, "lock" | "ref">): string {
  return `${lock}\0${ref}`;
}

export function aheadOf({ ref, key, slots }: StoredPlace): Ahead {
  return { ref, key, slots };
}

export function claimOf(entry: StoredEntry): Claim {
  const { lock, ref, claim, durable, session, isSessionAlive, revision, since, token, key, slots } = entry;
  const record = decodeRecord(entry.record) ?? bareRecord(NOBODY);
  return {
    ...record,
    id: claim,
    lock,
    ref,
    revision,
    durable,
    alive: !durable || record.lease !== null || (session !== null && isSessionAlive),
    since,
    fencingToken: token,
    // What the rule goes by, whatever the record says.
    key,
    slots,
  };
}

// What this process has written so far, and what tells it from what others write.
const WRITER = randomUUID();
let writes = 0;

/** A record as text that no other write has: after a lost reply it is told from another's that says the same. */
export function encodeWrite(record: ClaimRecord): string {
  writes += 1;
  return `${encodeRecord(record).slice(0, -1)},"write":"${WRITER}.${writes}"}`;
}

/** An entry that ends, or that is kept although its action has failed, as far as the history tells of it. */
export interface Ended {
  readonly claim: string;
  readonly since: number;
  readonly record: string;
}

/** The text for the archive. The store adds when it ended. */
export function encodeEnding({ claim, since, record }: Ended, { event, by, reason, failure }: Ending, isKept: boolean): string {
  return JSON.stringify({ claim, event, by, reason, failure, isKept, claimedAt: since, record });
}

/** What the archive keeps of a notice, in the form of an ending: versions that do not know its event pass it over. */
export function encodeNotice({ id, event, by, reason, since, owner, data, of }: Notice): string {
  const { description = null, lease = null, ...more } = of ?? {};
  const record = encodeRecord({ ...bareRecord(owner), reason: description, lease, data });
  return JSON.stringify({ claim: id, event, by, reason, ...more, ...(since === null ? {} : { claimedAt: since }), record });
}

const EVENTS: Readonly<Record<HistoryEvent, true>> = {
  ...{ released: true, cleared: true, expired: true, recovered: true, failed: true },
  ...{ frozen: true, thawed: true },
};

/** `null` for what is no record of the history. */
export function decodeEnding({ lock, endedAt, record: text }: Archived): HistoryRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || !Number.isFinite(endedAt)) return null;
  const { claim, event, by, reason, claimedAt = endedAt, record, isKept = false } = value;
  if (typeof claim !== "string" || !isEvent(event) || (by !== null && typeof by !== "string")) return null;
  if ((reason !== null && typeof reason !== "string") || typeof claimedAt !== "number") return null;
  const known = typeof record === "string" ? decodeRecord(record) : null;
  const owner = known?.owner ?? NOBODY;
  const { reason: description = null, lease = null, data = null } = known ?? {};
  const failure = decodeFailure(value["failure"]) ?? known?.failure ?? null;
  return { lock, claim, owner, event, by, reason, claimedAt, endedAt, isKept: isKept === true, failure, description, lease, data };
}

function isEvent(value: unknown): value is HistoryEvent {
  return typeof value === "string" && Object.hasOwn(EVENTS, value);
}
