// The ZooKeeper coordinator: a queue is a znode with sequential children in the form of Curator's recipes, and a durable claim is a
// persistent child of the same name. This file binds each operation to a session and to the module that carries it out.
import type { Claim, ClaimRecord } from "../../locks/claim.js";
import type {
  Change,
  Changes,
  Coordinator,
  CoordinatorOptions,
  Draft,
  EntryRef,
  Joined,
  JustSettled,
  Settled,
  QueuePosition,
  StoreTime,
  StoreWatch,
  Traits,
  WriteOutcome,
} from "../../locks/coordinator.js";
import type { Document, DocumentCheck, DocumentWrite } from "../../locks/documents.js";
import type { Ending, HistoryRecord, Keeping, Notice } from "../../locks/history.js";
import type { StoreReport } from "../../locks/store-report.js";
import { DocumentChangedError, bestEffort } from "../../locks/errors.js";
import { type HistoryBounds, historyBoundsOf } from "../../locks/history-bounds.js";
import { isHeld } from "../../locks/rule.js";
import { uptimeMs } from "../../uptime.js";
import { Background, patiently } from "./background.js";
import { Documents } from "./documents.js";
import { DurableClaims } from "./durable-claims.js";
import { Folders, tidy } from "./folders.js";
import { fetchHistory } from "./history.js";
import { Joining } from "./joining.js";
import { createLayout, type Layout } from "./layout.js";
import { examine, mend, Permissions } from "./permissions.js";
import { Positions } from "./positions.js";
import { Recording } from "./recording.js";
import { fetchQueue, findEntries, listLocks, SharedReads } from "./reads.js";
import type { ZkSession } from "./session.js";
import { EntrySessions, Sessions } from "./sessions.js";
import { parseZooKeeperUrl, storeNameOf, type ZooKeeperAddress } from "./url.js";
import { ChangeFeed, waitForDeparture } from "./watching.js";
import { isIdentified } from "./wire/access.js";
import { isConnectionLoss, toHoldlineError, unlessAborted } from "./wire/errors.js";
import type { Wire } from "./wire/wire.js";
import { countChanges, MOST_BYTES, removeUnsettled, sync } from "./writes.js";

/** Beside the record, each lock adds three paths and the framing of the steps to a transaction. */
const TRAITS: Traits = {
  wakes: "push",
  clockErrorMs: 0,
  minSessionMs: 0,
  maxLocks: Number.POSITIVE_INFINITY,
  maxBytes: MOST_BYTES,
  bytesPerLock: 400,
  durability: "quorum",
};

/**
 * Connects to an ensemble.
 * @param url see url.ts
 * @param clock measures the deadlines of sessions, in milliseconds; it must count the machine's sleep
 * @throws UnreachableError when no server answers within the connect timeout
 */
export async function openZooKeeper(url: string, options: CoordinatorOptions, clock = uptimeMs): Promise<Coordinator> {
  const coordinator = new ZooKeeperCoordinator(url, options, clock);
  try {
    await coordinator.connected();
  } catch (error) {
    await coordinator.close();
    throw error;
  }
  return coordinator;
}

class ZooKeeperCoordinator implements Coordinator {
  readonly isShared = true;
  readonly traits = TRAITS;
  readonly store: string;
  readonly #options: CoordinatorOptions;
  readonly #bounds: HistoryBounds;
  readonly #address: ZooKeeperAddress;
  readonly #layout: Layout;
  readonly #sessions: Sessions;
  readonly #durableClaims: DurableClaims;
  readonly #changeFeed: ChangeFeed;
  readonly #documents: Documents;
  readonly #joining: Joining;
  readonly #folders: Folders;
  readonly #background: Background;
  readonly #permissions: Permissions;
  readonly #entries = new EntrySessions();
  readonly #positions: Positions;
  /** By lock and how many claims of it. */
  readonly #sharedQueues = new SharedReads<undefined, readonly Claim[]>();
  #closing: Promise<void> | null = null;

  constructor(url: string, options: CoordinatorOptions, clock: () => number) {
    const address = parseZooKeeperUrl(url);
    this.#options = options;
    this.#bounds = historyBoundsOf(options);
    this.#address = address;
    this.store = storeNameOf(address);
    this.#layout = createLayout(address.root);
    this.#sessions = new Sessions(address, { ...options, clock }, () => {
      this.#durableClaims.restoreLiveness();
      this.#changeFeed.onConnected();
    });
    this.#folders = new Folders(this.#layout);
    this.#background = new Background(options.log);
    const recording = new Recording(this.#layout, this.#background, options);
    this.#documents = new Documents(this.#sessions, this.#layout, recording, options.log);
    const parts = { folders: this.#folders, documents: this.#documents, recording, background: this.#background };
    this.#durableClaims = new DurableClaims(this.#sessions, this.#layout, parts, options.log);
    this.#changeFeed = new ChangeFeed(this.#sessions, this.#layout, options.log);
    this.#positions = new Positions(clock);
    this.#joining = new Joining(this.#layout, this.#positions, this.#folders);
    this.#permissions = new Permissions(this.#layout, isIdentified(address));
  }

  async connected(): Promise<void> {
    await this.#sessions.current();
  }

  async join(draft: Draft, signal?: AbortSignal): Promise<Joined> {
    this.#positions.rememberKey(draft.key);
    let sentIn: ZkSession | null = null;
    let joining: Promise<unknown> = Promise.resolve();
    const joinIn = async (session: ZkSession): Promise<Joined> => {
      const isRetry = sentIn !== null;
      sentIn = session;
      // Sent together, so that the question costs no round trip. If the answer is no, the entries are removed again.
      const [trusted, entered] = await Promise.allSettled([
        this.#permissions.requireProtected(session, draft.locks),
        this.#joining.join(session, draft, isRetry),
      ]);
      if (trusted.status === "rejected" && !isConnectionLoss(trusted.reason)) throw trusted.reason;
      // A connection that broke over the join takes the questions before it along.
      if (entered.status === "rejected") throw entered.reason;
      if (trusted.status === "rejected") throw trusted.reason;
      // Another client may have made a znode that this one was about to make.
      if (!trusted.value) await this.#permissions.requireProtected(session, draft.locks);
      return { session, positions: entered.value };
    };
    try {
      const joined = await this.#sessions.retry(signal, (session) => (joining = joinIn(session)));
      const joinedIn = joined.session as ZkSession;
      this.#entries.add(joinedIn, joined);
      if (joinedIn.isFresh && joined.positions.every(({ ahead }) => isHeld([...ahead, draft], ahead.length)))
        this.#entries.hold(joined);
      if (signal?.aborted !== true) return joined;
      await this.withdraw(joined.positions);
      throw signal.reason;
    } catch (error) {
      if (sentIn !== null) this.#removeTraces(sentIn, draft, joining);
      throw error;
    }
  }

  async confirm(joined: Joined, signal?: AbortSignal): Promise<void> {
    await (joined.session as ZkSession).confirm(signal);
    this.#entries.hold(joined);
  }

  /** A join that failed may have left entries in a session that lives on. They must not stand in anyone's way. */
  #removeTraces(session: ZkSession, draft: Draft, entering: Promise<unknown>): void {
    this.#sessions.cleanUp(session, async ({ wire }) => {
      // Nobody waits for the join any more, but it goes on: its entries can be removed only once it has made them.
      await Promise.allSettled([entering]);
      await this.#joining.removeEntries(wire, draft);
    });
  }

  async position(entry: EntryRef, signal?: AbortSignal): Promise<QueuePosition> {
    const read = (wire: Wire) => this.#positions.positionOf(wire, this.#layout.lock(entry.lock), entry);
    const joinedIn = this.#entries.of(entry.ref);
    return joinedIn === undefined ? this.#sessions.retry(signal, ({ wire }) => read(wire)) : joinedIn.retry(signal, read);
  }

  async departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    const session = joined.session as ZkSession;
    const own = joined.positions.find((position) => position.lock === lock && !refs.includes(position.ref)) ?? null;
    const gone = await waitForDeparture(session, this.#layout.lock(lock), refs, own, signal);
    this.#positions.onLeft(session.wire, this.#layout.lock(lock), gone);
    return gone;
  }

  async withdraw(entries: readonly EntryRef[]): Promise<void> {
    const [joinedIn] = entries.map(({ ref }) => this.#entries.of(ref));
    this.#entries.forget(entries);
    const removeAll = async ({ wire }: ZkSession): Promise<void> => {
      await Promise.all(entries.map((entry) => removeUnsettled(wire, this.#layout.entry(entry))));
      this.#folders.removeBehind(this.#background, wire, locksOf(entries));
    };
    if (this.#closing !== null || joinedIn?.lost.aborted === true) return;
    if (joinedIn === undefined) return this.#sessions.retry(undefined, removeAll);
    const removal = removeAll(joinedIn).catch((error: unknown) => {
      if (!isConnectionLoss(error)) throw toHoldlineError(error);
      this.#sessions.cleanUp(joinedIn, removeAll);
    });
    await patiently(removal);
    // Nobody waits for what still comes of it.
    void bestEffort(this.#options.log, "an entry was not withdrawn: it ends with its session", () => removal);
  }

  async settle(
    draft: Draft,
    joined: Joined,
    record: ClaimRecord,
    signal?: AbortSignal,
    checks: readonly DocumentCheck[] = [],
  ): Promise<JustSettled> {
    const joinedIn = joined.session as ZkSession;
    if (!draft.settles) throw new Error("a claim that was to stay ephemeral cannot settle: its name tells others so");
    // Until something is sent the claim only waits, and keeps its place.
    signal?.throwIfAborted();
    try {
      const settled = await this.#durableClaims.settle(draft, joined.positions, joinedIn, record, checks, signal);
      this.#entries.forget(joined.positions);
      return settled;
    } catch (error) {
      if (error instanceof DocumentChangedError) throw error;
      this.#entries.forget(joined.positions);
      // The caller will not act under the claim, whatever has become of it, so nobody must wait behind it.
      this.#sessions.cleanUp(joinedIn, ({ wire }) => this.#durableClaims.undoSettle(wire, joined.positions));
      throw error;
    }
  }

  async adopt(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    await this.#sessions.retry(signal, (session) => this.#permissions.requireProtected(session, locksOf(entries)));
    return this.#durableClaims.adopt(id, entries, record, signal);
  }

  update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed"> {
    return this.#durableClaims.update(id, settled, record, signal, keeping);
  }

  leave(
    id: string,
    entries: readonly EntryRef[],
    ending: Ending,
    signal?: AbortSignal,
    writes: readonly DocumentWrite[] = [],
  ): Promise<WriteOutcome> {
    return this.#durableClaims.leaving.leave(id, entries, ending, writes, signal);
  }

  queue(lock: string, signal?: AbortSignal, first = Number.POSITIVE_INFINITY): Promise<readonly Claim[]> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    // A thousand waiters look at the same holders, so they share reads. A caller's signal ends that caller's wait, and not the read.
    const reading = this.#sharedQueues.share(`${lock} ${first}`, undefined, () =>
      this.#sessions.retry(undefined, ({ wire }) => fetchQueue(wire, this.#layout, lock, first)),
    );
    return unlessAborted(signal, reading);
  }

  find(id: string, signal?: AbortSignal): Promise<readonly Claim[]> {
    return this.#sessions.retry(signal, ({ wire }) => findEntries(wire, this.#layout, id));
  }

  list(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#sessions.retry(signal, ({ wire }) => listLocks(wire, this.#layout));
  }

  history(lock: string | null, limit: number, signal?: AbortSignal): Promise<readonly HistoryRecord[]> {
    return this.#sessions.retry(signal, ({ wire }) => fetchHistory(wire, this.#layout, lock, limit, this.#bounds));
  }

  document(name: string, signal?: AbortSignal): Promise<Document | null> {
    return this.#documents.read(name, signal);
  }

  documents(prefix: string, signal?: AbortSignal): Promise<readonly Document[]> {
    return this.#documents.list(prefix, signal);
  }

  writeDocument(
    name: string,
    value: string | null,
    revision: number,
    signal?: AbortSignal,
    notices: readonly Notice[] = [],
  ): Promise<"done" | "changed"> {
    return this.#documents.write({ name, value, revision }, notices, signal);
  }

  watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    return this.#changeFeed.watch(onChange, signal);
  }

  changes(id: string, signal?: AbortSignal): Promise<Changes | null> {
    return this.#sessions.retry(signal, ({ wire }) => countChanges(wire, this.#layout, id));
  }

  sync(signal?: AbortSignal): Promise<StoreTime> {
    return this.#sessions.retry(signal, ({ wire }) => sync(wire, this.#layout));
  }

  examine(signal?: AbortSignal): Promise<StoreReport> {
    return this.#sessions.retry(signal, ({ wire }) => examine(wire, this.#layout, this.#address, this.#options.sessionTimeoutMs));
  }

  mend(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#sessions.retry(signal, ({ wire }) => mend(wire, this.#layout, this.#address));
  }

  tidy(signal?: AbortSignal): Promise<readonly string[]> {
    return this.#sessions.retry(signal, ({ wire }) => tidy(wire, this.#layout, this.#bounds, this.#options.log));
  }

  close(): Promise<void> {
    this.#closing ??= bestEffort(this.#options.log, "the session ends by its timeout", () => this.#end());
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#changeFeed.close();
    // Otherwise a process that ends with its release would never trim a history.
    await this.#background.finish();
    await this.#sessions.close();
  }
}

function locksOf(entries: readonly EntryRef[]): string[] {
  return entries.map(({ lock }) => lock);
}
