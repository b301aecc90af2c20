// The seam: what Holdline asks of a store of queues, and what every store promises. The rule and all policy live above
// it. The promises are held by the conformance suite, which each coordinator passes against its real server.
import type { Claim, ClaimRecord, Failure, Lease, Owner } from "./claim.js";
import type { ErrorCode } from "./errors.js";
import type { Contender } from "./rule.js";

/** A process's liveness with a store. When it ends, so do its ephemeral claims, and a new one takes its place. */
export interface Session {
  readonly id: string;
  /**
   * Aborted before the store can have ended the session, early enough for what depends on it to be stopped: when the
   * store has not answered for {@link LOST_AFTER} of the session timeout, or has said that the session is over.
   */
  readonly lost: AbortSignal;
  /** How long after `lost` the store may still honour the session, in milliseconds: the time left to stop what depends on it. */
  readonly graceMs: number;
  /**
   * Until when the store cannot have ended the session, by what it has confirmed so far: milliseconds since boot, sleep
   * included. It moves on with every confirmation while the session lives. Infinity where the store does not end the sessions of processes that live.
   */
  heldUntil(): number;
  /**
   * A number that has grown with every change that this session has seen: read at a grant, it is the fencing token of an
   * ephemeral claim, above those of all holders before it. Without a round trip.
   */
  latestRevision(): number;
}

/** The part of the session timeout without an answer after which a session counts as lost: the rest is for stopping what depends on it. */
export const LOST_AFTER = 0.8;

/** What is asked for: one claim on one or several locks. */
export interface Draft {
  /** A UUID of the caller's: how the claim is found again after a lost reply. */
  readonly id: string;
  readonly locks: readonly string[];
  readonly key: string | null;
  readonly slots: number;
  readonly owner: Owner;
  readonly reason: string | null;
  readonly data: unknown;
  /** Is it to become durable when its turn has come? */
  readonly settles: boolean;
  /** What the claim is to become, for those who see it wait; `null` for the claim of a process. */
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

/** How a durable claim ended. */
export type EndEvent = "released" | "cleared" | "expired" | "recovered" | "failed";

/** What the history is told when a durable claim ends. */
export interface Ending {
  readonly event: EndEvent;
  /** The principal who ended it; `null` for a lease whose time was over. */
  readonly by: string | null;
  readonly reason: string | null;
  /** Why the action of a claim that is let go has failed. A claim that is kept carries that itself. */
  readonly failure?: Failure;
  /** When it ended, where that was before this is recorded: milliseconds since 1970 by the coordinator's clock. */
  readonly endedAt?: number;
}

/** What the history is told of a claim that is kept: its action has failed. */
export type Keeping = Ending & { readonly event: "failed" };

/** A record of the history. Times are milliseconds since 1970 by the coordinator's clock. */
export interface HistoryRecord extends Omit<Ending, "failure" | "endedAt"> {
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

/** A small versioned value beside the queues, for what all who use a store must know. Settling can be made to depend on it. */
export interface Document {
  readonly name: string;
  readonly value: string;
  /** Grows with every write. A document that is removed and made again goes on behind the revisions that it had. */
  readonly revision: number;
}

/** That a document still has the revision that was read; 0: that it is not there. */
export interface DocumentCheck {
  readonly name: string;
  readonly revision: number;
}

/** How often the queues of a store have changed. */
export interface Changes {
  /** Only counts since the same beginning compare. */
  readonly since: number;
  /** Grows with every claim that becomes durable. */
  readonly count: number;
}

/** What is to be said of a store. */
export interface Finding {
  readonly severity: "error" | "warning";
  /** Of an error, as of those that are thrown. */
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
}

/** A store as it was found, for people. */
export interface StoreReport {
  /** What it is: name and value, in the order in which they are shown. */
  readonly facts: Readonly<Record<string, string | number>>;
  readonly findings: readonly Finding[];
}

/** A store's time, and how well it is known. A lease has expired when its end is past even by the earliest time that this may be. */
export interface StoreTime {
  /** Milliseconds since 1970 by the store's clock. */
  readonly ms: number;
  /** How far `ms` may be off, in milliseconds; 0 where the store itself stamps it. */
  readonly errorMs: number;
}

/** A watch over a store, until it is closed. */
export interface StoreWatch {
  /** Resolves, with the store's time, once every change that was committed before the call has been told of. */
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

/** What a store can and cannot do, for those who have to go by it. */
export interface Traits {
  /** Does the store tell waiters of changes, or do they look for themselves every `sleepTimeMs`? */
  readonly wakes: "push" | "poll";
  /** How far the time that `sync` gives may be off at most, in milliseconds. */
  readonly clockErrorMs: number;
  /** The shortest session timeout that the store takes, in milliseconds. */
  readonly minSessionMs: number;
  /** How many locks one claim can stand on; Infinity without a limit. */
  readonly maxLocks: number;
  /** How large one transaction may be, in bytes, and how much each lock adds to it beside the claim's record; Infinity without a limit. */
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
  /** May other machines use it too? Then two machines of one name must be told apart. */
  readonly isShared: boolean;

  readonly traits: Traits;

  /**
   * The name of the store that fencing tokens come from, without secrets: the same for all who use it, and after its return from a
   * backup. Not there for a store that is never restored.
   */
  readonly store?: string;

  /**
   * How often the store has changed, a durable claim in hand included: for stores of which the fencing token alone does not tell
   * that they were restored from a backup. `null` where it cannot tell.
   */
  changes?(id: string, signal?: AbortSignal): Promise<Changes | null>;

  /**
   * Joins the end of every lock's queue in one transaction, ephemerally. Idempotent by the draft's id: after a lost
   * reply the claim is found again, never doubled. An aborted join leaves no entry behind, or one that ends with the session.
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
   * Where one's own entry stands now. Read from the store.
   * @throws SessionLostError when the entry was ephemeral and its session has ended
   * @throws ClaimLostError when the entry is not there although its session lives
   */
  position(entry: EntryRef, signal?: AbortSignal): Promise<QueuePosition>;

  /**
   * Waits until at least one of the entries `refs` in the queue of `lock` has left, confirmed by the store, and gives
   * those that have. A claim that settles does not leave.
   * @throws SessionLostError when the session in which `joined` was made is lost meanwhile
   * @throws ClaimLostError when `joined`'s own entry is not there any more: what departs then is nobody's turn
   */
  departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]>;

  /**
   * Makes an ephemeral claim durable at its places, in one transaction, which also creates its liveness entry, save for a
   * lease, which needs none. Idempotent: after a lost reply it is looked up, and given as it was settled, so that whatever
   * others have written to it since counts as a change. The liveness entry comes back by itself with a new session.
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
   * @param keeping what the history is told of it in the same transaction, one record for each entry; by default nothing
   */
  update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed">;

  /**
   * Takes ephemeral entries out of their queues, waiting or held; nothing is recorded. When the store does not answer
   * it gives the session up instead, so that they end with it, and resolves all the same: nothing is left behind.
   */
  withdraw(entries: readonly EntryRef[]): Promise<void>;

  /** Ends durable claims and writes one history record for each entry, in one transaction; only if all are as they were read. */
  leave(id: string, entries: readonly EntryRef[], ending: Ending, signal?: AbortSignal): Promise<WriteOutcome>;

  /**
   * A lock's queue in order, with everything that is known of each claim. Empty for a lock that nobody claims.
   * @param first read only that many from the front, and fewer only where there are no more; all of them by default
   */
  queue(lock: string, signal?: AbortSignal, first?: number): Promise<readonly Claim[]>;

  /** All entries of a claim, in whatever queues they stand, sorted by lock: for those who know nothing but its id. */
  find(id: string, signal?: AbortSignal): Promise<readonly Claim[]>;

  /** The names of the locks that have claims, sorted. */
  list(signal?: AbortSignal): Promise<readonly string[]>;

  /** Durable claims that have ended or failed, newest first, of one lock or of all (`null`). */
  history(lock: string | null, limit: number, signal?: AbortSignal): Promise<readonly HistoryRecord[]>;

  /**
   * Has `onChange` called after anything has changed that `queue`, `list` or `history` tell of, and whenever such a change
   * may have been missed: after a lost connection, say. It may be called more often than that, never while it runs, and
   * never again once the watch is closed. Resolves when the watch stands: what is read from then on misses nothing.
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
   */
  writeDocument(name: string, value: string | null, revision: number, signal?: AbortSignal): Promise<"done" | "changed">;

  /**
   * Brings this session up to date: whatever is read after it has all that was committed before the call.
   * @returns the store's time
   */
  sync(signal?: AbortSignal): Promise<StoreTime>;

  /** What the store is, and whether all that runs need of it is allowed. It makes and changes nothing. */
  examine?(signal?: AbortSignal): Promise<StoreReport>;

  /**
   * Gives everything below the root that everybody may change to the credentials of the URL. Safe to repeat.
   * @returns what it has changed, sorted
   * @throws HoldlineError `configuration` without credentials, `not-allowed` where the store refuses
   */
  mend?(signal?: AbortSignal): Promise<readonly string[]>;

  /**
   * Removes what nobody needs any more and nothing removes by itself: what earlier versions left empty, and what is beyond the
   * history's bounds. Nothing that a claim stands in. Safe to repeat.
   * @returns what it has removed, sorted
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
   * The store is taken as it is found: an embedded one that is not there is not made and seems empty, and one that this process may only
   * read is read. What would write rejects.
   */
  readonly isAsFound?: boolean;
  readonly log: Log;
}

/** The little that is asked of a log: pino's methods of the same names. */
export interface Log {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}
