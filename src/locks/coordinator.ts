// The upper seam: what Holdline asks of a store of queues, and what every store promises. The rule and all policy live above it. The
// conformance suite holds each coordinator to the promises, against its real server.
import type { Claim, ClaimRecord, Lease, Owner } from "./claim.js";
import type { Contender } from "./rule.js";
import type { Document, DocumentCheck, DocumentWrite } from "./documents.js";
import type { Ending, HistoryRecord, Keeping, Notice } from "./history.js";
import type { Log } from "./log.js";
import type { Session } from "./session.js";
import type { StoreReport } from "./store-report.js";

/** A claim as a caller asks for it, on one or several locks. */
export interface Draft {
  /** A UUID that the caller chooses: by it the claim is found again after a lost reply. */
  readonly id: string;
  readonly locks: readonly string[];
  readonly key: string | null;
  readonly slots: number;
  /** Where `slots` was reckoned as a percentage of the group's nodes: that percentage. */
  readonly percent?: number;
  readonly owner: Owner;
  readonly reason: string | null;
  readonly data: unknown;
  /** Whether it becomes durable when its turn has come. */
  readonly settles: boolean;
  /** The lease that the claim will become, for those who see it wait; `null` for the claim of a process. */
  readonly lease: Lease | null;
}

/** An entry of a queue as far as the rule needs it. */
export interface Ahead extends Contender {
  readonly ref: string;
}

/** An entry to write to: the revision makes the write conditional. */
export interface EntryRef {
  readonly lock: string;
  readonly ref: string;
  readonly revision: number;
}

/** One's own entry in a queue, and those ahead of it, first come first. */
export interface QueuePosition extends EntryRef {
  readonly ahead: readonly Ahead[];
}

/** A claim that stands in line. */
export interface Joined {
  /** The session that the ephemeral entries belong to. */
  readonly session: Session;
  /** One for each of the draft's locks, in their order. */
  readonly positions: readonly QueuePosition[];
}

/** A durable claim in hand. */
export interface Settled {
  readonly entries: readonly EntryRef[];
  /** Grows with every change of holder of each lock. */
  readonly fencingToken: number;
}

/** A claim that has just become durable. */
export interface JustSettled extends Settled {
  /** When it settled: milliseconds since 1970 by the coordinator's clock. */
  readonly since: number;
}

/** How often the queues of a store have changed. */
export interface Changes {
  /** Only counts since the same beginning compare. */
  readonly since: number;
  /** Grows with every claim that becomes durable. */
  readonly count: number;
}

/** A store's time, and how well it is known. A lease has expired only when its end is past by the earliest time that this may be. */
export interface StoreTime {
  /** Milliseconds since 1970 by the store's clock. */
  readonly ms: number;
  /** How far `ms` may be off, in milliseconds; 0 where the store itself stamps it. */
  readonly errorMs: number;
}

/** A watch over a store, until it is closed. */
export interface StoreWatch {
  /** Resolves with the store's time once the watch has reported every change that was committed before the call. */
  caughtUp(signal?: AbortSignal): Promise<StoreTime>;
  close(): void;
}

/** What has changed since the last call: queues or histories of some locks, the liveness of some claims; `null`: it may be anything. */
export type Change = {
  readonly locks: ReadonlySet<string>;
  readonly claims: ReadonlySet<string>;
  readonly documents: ReadonlySet<string>;
} | null;

/**
 * What became of a conditional write: `done`; `gone`, the entry is no longer there; `changed`, it is there but no
 * longer as it was read. After a lost reply the store is asked what happened, so these are facts and not guesses.
 */
export type WriteOutcome = "done" | "gone" | "changed";

/** What a store can and cannot do. */
export interface Traits {
  /** `push`: the store reports changes to waiters. `poll`: waiters look for themselves every `sleepTimeMs`. */
  readonly wakes: "push" | "poll";
  /** How far the time that `sync` gives may be off at most, in milliseconds. */
  readonly clockErrorMs: number;
  /** The shortest session timeout that the store takes, in milliseconds. */
  readonly minSessionMs: number;
  /** How many locks one claim can stand on; Infinity without a limit. */
  readonly maxLocks: number;
  /**
   * How large one transaction may be, in bytes, and how much each lock adds to it beside the claim's record: its name, its step, and up
   * to 100 bytes by which a write is told from others. Infinity without a limit.
   */
  readonly maxBytes: number;
  readonly bytesPerLock: number;
  /** What an acknowledged write survives: the loss of a minority of servers, of the power, or perhaps nothing. */
  readonly durability: "quorum" | "disk" | "may-lose";
}

/**
 * A store of queues. Every method that waits takes a signal and rejects with its reason when it is aborted. Unless
 * said otherwise they reject with `UnreachableError` when the store does not answer in time and with
 * `HoldlineError("not-allowed")` when it refuses.
 */
export interface Coordinator {
  /** Whether other machines can use it too. Then two machines of one name must be told apart. */
  readonly isShared: boolean;

  readonly traits: Traits;

  /**
   * The name of the store that fencing tokens come from, without secrets: the same for all who use it, and after its return from a
   * backup. Not there for a store that is never restored.
   */
  readonly store?: string;

  /**
   * How often the store has changed, for stores whose fencing tokens do not reveal that the store was restored from a backup.
   * `null` when the store cannot say.
   * @param id a durable claim in hand, which counts too
   */
  changes?(id: string, signal?: AbortSignal): Promise<Changes | null>;

  /**
   * Joins the end of every lock's queue in one transaction, ephemerally. Idempotent by the draft's id: after a lost
   * reply the store is asked for the claim, which is never doubled. An aborted join leaves no entry behind, or one that ends with the session.
   */
  join(draft: Draft, signal?: AbortSignal): Promise<Joined>;

  /**
   * At the grant of a claim that stays ephemeral: resolves once the store has confirmed that the claim's session lives, lately
   * enough to begin with what depends on it. From then on until the claim is withdrawn, only what the store as a whole has
   * confirmed keeps the session from counting as lost.
   * @throws SessionLostError when the session is lost
   */
  confirm(joined: Joined, signal?: AbortSignal): Promise<void>;

  /**
   * Reads where one's own entry stands now.
   * @throws SessionLostError when the entry was ephemeral and its session has ended
   * @throws ClaimLostError when the entry is not there although its session lives
   */
  position(entry: EntryRef, signal?: AbortSignal): Promise<QueuePosition>;

  /**
   * Waits until at least one of the entries `refs` in the queue of `lock` has left, confirmed by the store, and gives
   * those that have. A claim that settles does not leave.
   * @throws SessionLostError when the session in which `joined` was made is lost meanwhile
   * @throws ClaimLostError when `joined`'s own entry is not there any more: then no departure gives it a turn
   */
  departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]>;

  /**
   * Makes an ephemeral claim durable at its places, in one transaction that also creates its liveness entry (a lease needs
   * none). Idempotent: after a lost reply the claim is looked up and returned as it was settled, so that what others have written to it
   * since counts as a change. The liveness entry comes back by itself with a new session.
   * @throws SessionLostError when the entries went with their session, so that nothing was settled
   * @throws ClaimLostError when the entries were taken away by someone else
   * @param checks documents that must be as they were read, in the same transaction
   * @throws DocumentChangedError when one is not: the claim stays in line as it is
   */
  settle(
    draft: Draft,
    joined: Joined,
    record: ClaimRecord,
    signal?: AbortSignal,
    checks?: readonly DocumentCheck[],
  ): Promise<JustSettled>;

  /** Takes over durable entries in place, with a new owner, liveness entry and fencing token; only if all are as they were read. */
  adopt(id: string, entries: readonly EntryRef[], record: ClaimRecord, signal?: AbortSignal): Promise<Settled | "gone" | "changed">;

  /**
   * Writes a new record to durable entries, with the same holder and the same fencing token; only if all are as they were read.
   * On success the outcome is the entries with their new revisions.
   * @param keeping the event that the history records in the same transaction, once for each entry; by default nothing
   */
  update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed">;

  /**
   * Takes ephemeral entries out of their queues, waiting or held, and records nothing. When the store does not answer,
   * the coordinator gives the session up, so that the entries end with it, and resolves all the same.
   */
  withdraw(entries: readonly EntryRef[]): Promise<void>;

  /**
   * Ends durable claims and writes one history record for each entry, in one transaction; only if all are as they were read.
   * @param writes documents to write in the same transaction
   * @throws DocumentChangedError when one of these is not as it was read: the claim stays as it is
   */
  leave(
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    signal?: AbortSignal,
    writes?: readonly DocumentWrite[],
  ): Promise<WriteOutcome>;

  /**
   * A lock's queue in order, with everything that the store knows of each claim. Empty for a lock that nobody claims.
   * @param first read only that many from the front, and fewer only where there are no more; all of them by default
   */
  queue(lock: string, signal?: AbortSignal, first?: number): Promise<readonly Claim[]>;

  /** All entries of a claim, in all queues, sorted by lock: for callers who know nothing but its id. */
  find(id: string, signal?: AbortSignal): Promise<readonly Claim[]>;

  /** The names of the locks that have claims, sorted. */
  list(signal?: AbortSignal): Promise<readonly string[]>;

  /** Durable claims that have ended or failed, newest first, of one lock or of all (`null`). */
  history(lock: string | null, limit: number, signal?: AbortSignal): Promise<readonly HistoryRecord[]>;

  /**
   * Calls `onChange` after every change that `queue`, `list`, `history` or `documents` would show, and whenever such a change may have
   * been missed, as after a lost connection. It may be called more often, never while it runs, and never again once the watch is
   * closed. Resolves when the watch stands: reads from then on miss nothing.
   */
  watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch>;

  /** A document; `null` when it is not there. */
  document(name: string, signal?: AbortSignal): Promise<Document | null>;

  /** The documents whose names begin with `prefix`, sorted by name. */
  documents(prefix: string, signal?: AbortSignal): Promise<readonly Document[]>;

  /**
   * Writes a document, or removes it, if it is as it was read.
   * @param name as a lock's: any text of up to 255 bytes
   * @param value `null` removes it
   * @param revision the one that was read; 0: it was not there
   * @param notices what the history records in the same transaction; by default nothing
   */
  writeDocument(
    name: string,
    value: string | null,
    revision: number,
    signal?: AbortSignal,
    notices?: readonly Notice[],
  ): Promise<"done" | "changed">;

  /**
   * Brings this session up to date: reads after it show everything that was committed before the call.
   * @returns the store's time
   */
  sync(signal?: AbortSignal): Promise<StoreTime>;

  /** Describes the store, and checks that these credentials may do everything that runs need. Changes nothing. */
  examine?(signal?: AbortSignal): Promise<StoreReport>;

  /**
   * Gives the credentials of the URL everything below the root that anybody may change. Safe to repeat.
   * @returns the names of what it has changed, sorted
   * @throws HoldlineError `configuration` without credentials, `not-allowed` where the store refuses
   */
  mend?(signal?: AbortSignal): Promise<readonly string[]>;

  /**
   * Removes leftovers that nothing else removes: what earlier versions left empty, and records beyond the history's bounds. Never
   * touches a queue that has claims. Safe to repeat.
   * @returns the names of what it has removed, sorted
   */
  tidy?(signal?: AbortSignal): Promise<readonly string[]>;

  /** Ends the session at once, and with it every ephemeral claim. Never rejects; a second call does nothing. */
  close(): Promise<void>;
}

/** What a coordinator is opened with, beside its URL. */
export interface CoordinatorOptions {
  readonly connectTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** History records to keep for each lock. */
  readonly historyKeep: number;
  /** For how long at most, by the store's clock; Infinity without an end, which is the default. */
  readonly historyForMs?: number;
  /** History records to keep of all locks together, 10,000 by default. */
  readonly historyTotal?: number;
  /** The longest pause between two looks at a store that cannot wake a waiter. */
  readonly sleepTimeMs: number;
  /**
   * Takes the store as it is found: does not make an embedded store that is missing (it seems empty), and reads one that this process may
   * only read. Calls that would write reject.
   */
  readonly isAsFound?: boolean;
  readonly log: Log;
}
