// The history's records: of a durable claim that ends, and of one that is kept because its action has failed.
import type { Failure, Lease, Owner } from "./claim.js";

/** How a durable claim ended. */
export type EndEvent = "released" | "cleared" | "expired" | "recovered" | "failed";

/** What a record of the history can be about: the end of a claim, or a freeze that begins or ends. */
export type HistoryEvent = EndEvent | "frozen" | "thawed";

/** How a durable claim ends, for the history. */
export interface Ending {
  readonly event: EndEvent;
  /** The principal who ended it; `null` for a lease whose time was over. */
  readonly by: string | null;
  readonly reason: string | null;
  /** Why the action of a claim that is let go has failed. A claim that is kept carries that itself. */
  readonly failure?: Failure;
  /** When it ended, if that was before it is recorded: milliseconds since 1970 by the coordinator's clock. */
  readonly endedAt?: number;
}

/** The record of a claim that is kept because its action has failed. */
export type Keeping = Ending & { readonly event: "failed" };

/** A record of the history. Times are milliseconds since 1970 by the coordinator's clock. */
export interface HistoryRecord extends Omit<Ending, "event" | "failure" | "endedAt"> {
  readonly event: HistoryEvent;
  readonly lock: string;
  readonly claim: string;
  readonly owner: Owner;
  readonly claimedAt: number;
  /** When it ended; of one that was kept, when its action failed. */
  readonly endedAt: number;
  /** The claim stays: its own end is another record. */
  readonly isKept: boolean;
  readonly failure: Failure | null;
  /** Why the claim was made, as its owner has said. */
  readonly description: string | null;
  readonly lease: Lease | null;
  readonly data: unknown;
}

/** What the history records with a document that is written: a freeze that begins or ends, or what another store's history told. */
export interface Notice {
  /** The lock in whose history it stands, or a pattern of locks. */
  readonly lock: string;
  /** The freeze's or the claim's id: it stands in the record as the claim. */
  readonly id: string;
  readonly event: HistoryEvent;
  readonly owner: Owner;
  readonly by: string | null;
  readonly reason: string | null;
  /** When the freeze or the claim began, in milliseconds since 1970 by the coordinator's clock; `null`: just now. */
  readonly since: number | null;
  /** When it ended, by the same clock: missing for what happens just now. */
  readonly endedAt?: number;
  readonly data: unknown;
  /** Of a claim, as in its {@link HistoryRecord}. */
  readonly of?: Pick<HistoryRecord, "isKept" | "failure" | "description" | "lease">;
}

/** A record of one store's history, to be told in another's. */
export function noticeOf(record: HistoryRecord): Notice {
  const { lock, claim, event, owner, by, reason, claimedAt, endedAt, data, isKept, failure, description, lease } = record;
  return {
    lock,
    id: claim,
    event,
    owner,
    by,
    reason,
    since: claimedAt,
    endedAt,
    data,
    of: { isKept, failure, description, lease },
  };
}
