// The ZooKeeper coordinator: queues as sequential znodes in the form of Curator's recipes, durable claims as persistent
// ones of the same name. It owns the waiting in line; entering is entrance.ts's, what is durable holdings.ts's, sessions
// are session.ts's.
import type { Claim, ClaimRecord } from "../../locks/claim.js";
import type {
  Change,
  Changes as StoreChanges,
  Coordinator,
  CoordinatorOptions,
  Draft,
  Ending,
  EntryRef,
  HistoryRecord,
  Joined,
  Keeping,
  JustSettled,
  Settled,
  QueuePosition,
  StoreReport,
  StoreTime,
  StoreWatch,
  Traits,
  WriteOutcome,
} from "../../locks/coordinator.js";
import { bestEffort } from "../../locks/errors.js";
import { type HistoryBounds, historyBoundsOf } from "../../locks/history-bounds.js";
import { isHeld } from "../../locks/rule.js";
import { uptimeMs } from "../../uptime.js";
import { Background } from "./background.js";
import { Changes } from "./changes.js";
import { departed } from "./departures.js";
import { Entrance } from "./entrance.js";
import { examine, mend } from "./examination.js";
import { Folders } from "./folders.js";
import { readHistory } from "./history.js";
import { Holdings } from "./holdings.js";
import { Homes } from "./homes.js";
import { createLayout, type Layout } from "./layout.js";
import { fromWire, isLoss, unlessAborted } from "./failures.js";
import type { ZkSession } from "./session.js";
import { Sessions } from "./sessions.js";
import { Shared } from "./shared.js";
import { Standings } from "./standings.js";
import { patiently } from "./patience.js";
import { tidy } from "./tidying.js";
import { findEntries, listLocks, readQueue } from "./tree.js";
import { countChanges, readClock, removeUnsettled } from "./upkeep.js";
import { Trust } from "./trust.js";
import { parseZooKeeperUrl, storeNameOf, type ZooKeeperAddress } from "./url.js";
import type { Wire } from "./wire.js";

/**
 * Connects to an ensemble.
 * @param url see url.ts
 * @param clock what deadlines of sessions are reckoned by, in milliseconds: it counts the machine's sleep
 * @throws UnreachableError when no server answers within the connect timeout
 */
/**
 * A transaction is one request, and a server takes none of more than a mebibyte (`jute.maxbuffer`, 0xfffff by default). What each
 * lock adds beside the record are three paths and the framing of the steps.
 */
const TRAITS: Traits = {
  wakes: "push",
  clockErrorMs: 0,
  minSessionMs: 0,
  maxLocks: Number.POSITIVE_INFINITY,
  maxBytes: 900_000,
  bytesPerLock: 400,
  durability: "quorum",
};

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
  readonly #holdings: Holdings;
  readonly #changes: Changes;
  readonly #entrance: Entrance;
  readonly #folders: Folders;
  readonly #background: Background;
  readonly #trust: Trust;
  readonly #homes = new Homes();
  readonly #standings: Standings;
  /** Of queues, by lock and how much of it. */
  readonly #readings = new Shared<undefined, readonly Claim[]>();
  #closing: Promise<void> | null = null;

  constructor(url: string, options: CoordinatorOptions, clock: () => number) {
    const address = parseZooKeeperUrl(url);
    this.#options = options;
    this.#bounds = historyBoundsOf(options);
    this.#address = address;
    this.store = storeNameOf(address);
    this.#layout = createLayout(address.root);
    this.#sessions = new Sessions(address, { ...options, clock }, () => {
      this.#holdings.restoreLiveness();
      this.#changes.renew();
    });
    this.#folders = new Folders(this.#layout);
    this.#background = new Background(options.log);
    this.#holdings = new Holdings(this.#sessions, this.#layout, this.#folders, this.#background, options);
    this.#changes = new Changes(this.#sessions, this.#layout, options.log);
    this.#standings = new Standings(clock);
    this.#entrance = new Entrance(this.#layout, this.#standings, this.#folders);
    this.#trust = new Trust(this.#layout, address.credentials !== null);
  }

  async connected(): Promise<void> {
    await this.#sessions.current();
  }

  async join(draft: Draft, signal?: AbortSignal): Promise<Joined> {
    this.#standings.know(draft.key);
    let sentIn: ZkSession | null = null;
    let entering: Promise<unknown> = Promise.resolve();
    const enter = async (session: ZkSession): Promise<Joined> => {
      const isAgain = sentIn !== null;
      sentIn = session;
      // Sent together, so that the question costs no round trip. What has been entered is removed when the answer is no.
      const [trusted, entered] = await Promise.allSettled([
        this.#trust.check(session, draft.locks),
        this.#entrance.enter(session, draft, isAgain),
      ]);
      if (trusted.status === "rejected") throw trusted.reason;
      if (entered.status === "rejected") throw entered.reason;
      // Another client may have made what this one was about to make.
      if (!trusted.value) await this.#trust.check(session, draft.locks);
      return { session, positions: entered.value };
    };
    try {
      const joined = await this.#sessions.retry(signal, (session) => (entering = enter(session)));
      const home = joined.session as ZkSession;
      this.#homes.take(home, joined);
      if (home.isFresh && joined.positions.every(({ ahead }) => isHeld([...ahead, draft], ahead.length))) this.#homes.hold(joined);
      if (signal?.aborted !== true) return joined;
      await this.withdraw(joined.positions);
      throw signal.reason;
    } catch (error) {
      if (sentIn !== null) this.#removeTraces(sentIn, draft, entering);
      throw error;
    }
  }

  async confirm(joined: Joined, signal?: AbortSignal): Promise<void> {
    await (joined.session as ZkSession).confirm(signal);
    this.#homes.hold(joined);
  }

  /** A join that failed may have left entries in a session that lives on: they must not stand in anyone's way. */
  #removeTraces(session: ZkSession, draft: Draft, entering: Promise<unknown>): void {
    this.#sessions.cleanUp(session, async ({ wire }) => {
      // Nobody waits for it any more, but it goes on: what it makes is removed after it has made it.
      await Promise.allSettled([entering]);
      await this.#entrance.clear(wire, draft);
    });
  }

  async position(entry: EntryRef, signal?: AbortSignal): Promise<QueuePosition> {
    const read = (wire: Wire) => this.#standings.standing(wire, this.#layout.lock(entry.lock), entry);
    const home = this.#homes.of(entry.ref);
    return home === undefined ? this.#sessions.retry(signal, ({ wire }) => read(wire)) : home.persist(signal, read);
  }

  async departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    const session = joined.session as ZkSession;
    const own = joined.positions.find((standing) => standing.lock === lock && !refs.includes(standing.ref)) ?? null;
    const gone = await departed(session, this.#layout.lock(lock), refs, own, signal);
    this.#standings.left(session.wire, this.#layout.lock(lock), gone);
    return gone;
  }

  async withdraw(entries: readonly EntryRef[]): Promise<void> {
    const homes = entries.map(({ ref }) => this.#homes.of(ref));
    this.#homes.forget(entries);
    const removeAll = async ({ wire }: ZkSession): Promise<void> => {
      await Promise.all(entries.map((entry) => removeUnsettled(wire, this.#pathOf(entry))));
      this.#folders.removeBehind(
        this.#background,
        wire,
        entries.map(({ lock }) => lock),
      );
    };
    const [home] = homes;
    if (this.#closing !== null || home?.lost.aborted === true) return;
    if (home === undefined) return this.#sessions.retry(undefined, removeAll);
    const removal = removeAll(home).catch((error: unknown) => {
      if (!isLoss(error)) throw fromWire(error);
      this.#sessions.cleanUp(home, removeAll);
    });
    await patiently(removal);
    // Whatever still comes of it has nobody to be told to.
    void bestEffort(this.#options.log, "an entry was not withdrawn: it ends with its session", () => removal);
  }

  async settle(draft: Draft, joined: Joined, record: ClaimRecord, signal?: AbortSignal): Promise<JustSettled> {
    const home = joined.session as ZkSession;
    if (!draft.settles) throw new Error("a claim that was to stay ephemeral cannot settle: others have been told so");
    // Before anything is sent the claim only waits, and keeps its place.
    signal?.throwIfAborted();
    try {
      return await this.#holdings.settle(draft, joined.positions, home, record, signal);
    } catch (error) {
      // Whatever has become of it: the caller will not act under it, and nobody must wait behind it.
      this.#sessions.cleanUp(home, ({ wire }) => this.#holdings.undoSettle(wire, joined.positions));
      throw error;
    } finally {
      this.#homes.forget(joined.positions);
    }
  }

  async adopt(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    await this.#sessions.retry(signal, (session) =>
      this.#trust.check(
        session,
        entries.map(({ lock }) => lock),
      ),
    );
    return this.#holdings.adopt(id, entries, record, signal);
  }

  update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    signal?: AbortSignal,
    keeping?: Keeping,
  ): Promise<Settled | "gone" | "changed"> {
    return this.#holdings.update(id, settled, record, signal, keeping);
  }

  leave(id: string, entries: readonly EntryRef[], ending: Ending, signal?: AbortSignal): Promise<WriteOutcome> {
    return this.#holdings.leaving.leave(id, entries, ending, signal);
  }

  queue(lock: string, signal?: AbortSignal, first = Number.POSITIVE_INFINITY): Promise<readonly Claim[]> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    // A thousand waiters look at the same holders. A reading has the store's own patience; a caller's ends only the caller's wait.
    const reading = this.#readings.ask(`${lock} ${first}`, undefined, () =>
      this.#sessions.retry(undefined, ({ wire }) => readQueue(wire, this.#layout, lock, first)),
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
    return this.#sessions.retry(signal, ({ wire }) => readHistory(wire, this.#layout, lock, limit, this.#bounds));
  }

  watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    return this.#changes.watch(onChange, signal);
  }

  changes(id: string, signal?: AbortSignal): Promise<StoreChanges | null> {
    return this.#sessions.retry(signal, ({ wire }) => countChanges(wire, this.#layout, id));
  }

  async sync(signal?: AbortSignal): Promise<StoreTime> {
    const ms = await this.#sessions.retry(signal, ({ wire }) => readClock(wire, this.#layout));
    // The server that does the write stamps it.
    return { ms, errorMs: 0 };
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
    this.#changes.close();
    // A process that ends with its release would never trim a history otherwise.
    const unfinished = this.#background.unfinished();
    if (unfinished !== null) await patiently(unfinished);
    await this.#sessions.close();
  }

  #pathOf({ lock, ref }: EntryRef): string {
    return `${this.#layout.lock(lock)}/${ref}`;
  }
}
