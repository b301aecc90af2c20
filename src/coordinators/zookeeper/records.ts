// The data of znodes: a claim's record with its fencing token, and a history record. Anyone may have written the bytes that are read back.
import type { ClaimRecord } from "../../locks/claim.js";
import { bareRecord, decodeFailure, decodeRecord, encodeRecord, isObject, readRecord } from "../../locks/claim.js";
import type { Draft } from "../../locks/coordinator.js";
import type { Ending, HistoryEvent, HistoryRecord, Notice } from "../../locks/history.js";
import type { Stat } from "./wire/protocol.js";

/** A claim's data. Its fencing token is the zxid of the write that made its holder, and later writes must carry it along. */
export interface ClaimData {
  readonly record: ClaimRecord;
  /** `null` when the token is the zxid of the write itself. */
  readonly fencingToken: number | null;
  /** What tells this write from another that says the same; `null` where nobody needs to tell. */
  readonly write: string | null;
  /** The `write` that made the holder, which later writes carry along; `null` where the claim has not been adopted. */
  readonly adoption: string | null;
}

/** The record of a claim that waits. */
export function recordOfDraft({ owner, key, slots, percent, reason, data, lease }: Draft): ClaimRecord {
  const record = { owner, key, slots, reason, data, lease, made: null, expiresAt: null, failure: null };
  return percent === undefined ? record : { ...record, percent };
}

export function encodeClaim({ record, ...stamps }: ClaimData): Buffer {
  const text = encodeRecord(record);
  const given = Object.entries(stamps).filter(([, value]) => value !== null);
  return Buffer.from(given.length === 0 ? text : `${text.slice(0, -1)},${JSON.stringify(Object.fromEntries(given)).slice(1)}`);
}

/** The data of a claim that nobody has written to since it was joined or settled. */
export function encodeFirst(record: ClaimRecord): Buffer {
  return encodeClaim({ record, fencingToken: null, write: null, adoption: null });
}

/** `null` when the text is no claim of Holdline's. */
export function decodeClaim(text: string): ClaimData | null {
  const record = decodeRecord(text);
  if (record === null) return null;
  const { fencingToken: token, write, adoption } = JSON.parse(text) as Readonly<Record<string, unknown>>;
  return {
    record,
    fencingToken: typeof token === "number" && Number.isSafeInteger(token) ? token : null,
    write: typeof write === "string" ? write : null,
    adoption: typeof adoption === "string" ? adoption : null,
  };
}

/** A durable claim's fencing token, from its data and its znode's status. */
export function fencingTokenOf(claim: ClaimData | null, { mzxid }: Pick<Stat, "mzxid">): number {
  return claim?.fencingToken ?? mzxid;
}

/** An ended claim as the history keeps it. It ended when the record was created, unless `endedAt` says otherwise. */
export interface EndedClaim extends Omit<Ending, "event"> {
  readonly event: HistoryEvent;
  readonly claim: string;
  /** Missing where it is when the record was created. */
  readonly claimedAt?: number;
  readonly record: ClaimRecord;
  /** Whether the claim stays, because its action has failed. */
  readonly isKept: boolean;
}

export function encodeEnded({ claim, event, by, reason, failure, isKept, claimedAt, endedAt, record }: EndedClaim): Buffer {
  const said = JSON.stringify({ claim, event, by, reason, failure, isKept, claimedAt, endedAt });
  return Buffer.from(`${said.slice(0, -1)},"record":${encodeRecord(record)}}`);
}

/** What the history says of a notice, in the form of an ended claim: versions that do not know its event pass it over. */
export function endedOf({ id, event, by, reason, since, endedAt, owner, data, of }: Notice): EndedClaim {
  const { description = null, lease = null, failure = null, isKept = false } = of ?? {};
  return {
    ...{ claim: id, event, by, reason, record: { ...bareRecord(owner), reason: description, lease, data }, isKept },
    ...(failure === null ? {} : { failure }),
    ...(since === null ? {} : { claimedAt: since }),
    ...(endedAt === undefined ? {} : { endedAt }),
  };
}

const EVENTS: Readonly<Record<HistoryEvent, true>> = {
  ...{ released: true, cleared: true, expired: true, recovered: true, failed: true },
  ...{ frozen: true, thawed: true },
};

/** `null` when the text is no history record. @param recordedAt when it was written */
export function decodeEnded(text: string, lock: string, recordedAt: number): HistoryRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const { claim, event, by, reason, isKept = false, endedAt = recordedAt, claimedAt = endedAt } = value;
  const record = readRecord(value["record"]);
  if (record === null || typeof claim !== "string" || !isEvent(event) || (by !== null && typeof by !== "string")) return null;
  if ((reason !== null && typeof reason !== "string") || typeof claimedAt !== "number" || typeof endedAt !== "number") return null;
  const { owner, reason: description, lease, data } = record;
  const failure = decodeFailure(value["failure"]) ?? record.failure;
  return {
    ...{ lock, claim, owner, event, by, reason, claimedAt, endedAt },
    ...{ isKept: isKept === true, failure, description, lease, data },
  };
}

function isEvent(value: unknown): value is HistoryEvent {
  return typeof value === "string" && Object.hasOwn(EVENTS, value);
}
