// Being told of changes: `ChangeFeed` reports everything that changes under a root, and `waitForDeparture` waits until somebody ahead
// leaves a queue. Both say what may have changed; reading it is the caller's.
import type { Change, EntryRef, StoreTime, StoreWatch } from "../../locks/coordinator.js";
import type { Log } from "../../locks/log.js";
import { bestEffort, HoldlineError } from "../../locks/errors.js";
import { Listeners } from "../../locks/listeners.js";
import { changedAt, type Layout, parseClaimName } from "./layout.js";
import { takenOutError } from "./positions.js";
import type { ZkSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import { WireError, ZK } from "./wire/protocol.js";
import type { Watcher } from "./wire/watches.js";
import type { Wire } from "./wire/wire.js";
import { sync } from "./writes.js";

/** The watches on one connection: the server has been asked for them, and `done` says whether it has agreed. */
interface Setting {
  readonly session: ZkSession;
  readonly connection: number;
  readonly done: Promise<void>;
}

/**
 * Recursive watches that the server keeps for one connection. The feed sets them again on each connection, and shares them among all who
 * want to be told.
 *
 *   unset → (the first watch) setting → set → (another connection) setting …
 *     ↑________________ the last watch is closed _________________|
 */
export class ChangeFeed {
  readonly #sessions: Sessions;
  /** Not the whole root: everyone who reads the time writes to the clock under it. */
  readonly #trees: readonly string[];
  readonly #layout: Layout;
  readonly #log: Log;
  readonly #listeners = new Listeners();
  #setting: Setting | null = null;

  constructor(sessions: Sessions, layout: Layout, log: Log) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#trees = [layout.locks, layout.alive, layout.history, layout.documents];
    this.#log = log;
  }

  async watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    // First, because the server's first event may be in the same packet as its answer.
    const remove = this.#listeners.add(onChange);
    const close = (): void => {
      remove();
      if (this.#listeners.isEmpty) this.#removeWatches();
    };
    try {
      await this.#sessions.retry(signal, (session) => this.#setWatches(session));
    } catch (error) {
      close();
      throw error;
    }
    // A write goes through the leader, and a server reports what happened before a write ahead of the write's answer.
    const caughtUp = (patience?: AbortSignal): Promise<StoreTime> =>
      this.#sessions.retry(patience, async (session) => {
        await this.#setWatches(session);
        return sync(session.wire, this.#layout);
      });
    return { caughtUp, close };
  }

  /** The server that answers now knows of no watch, and changes may have been missed. */
  onConnected(): void {
    if (this.#listeners.isEmpty) return;
    void bestEffort(this.#log, "changes are not noticed before the next connection", async () => {
      try {
        // The last watch may have been closed meanwhile.
        await this.#sessions.retry(
          undefined,
          async (session) => void (!this.#listeners.isEmpty && (await this.#setWatches(session))),
        );
      } catch (error) {
        if (error instanceof HoldlineError && error.code === "configuration") this.#log.error({}, error.message);
        throw error;
      } finally {
        this.#listeners.tell(null);
      }
    });
  }

  close(): void {
    this.#listeners.clear();
    this.#setting = null;
  }

  /** Sets the watches on a session's present connection, once. */
  #setWatches(session: ZkSession): Promise<void> {
    const { connections: connection } = session;
    if (this.#setting?.session === session && this.#setting.connection === connection) return this.#setting.done;
    const tell = (path: string): void => this.#listeners.tell(changedAt(this.#layout, path));
    const answers = this.#trees.map((tree) => session.wire.watchTree(tree, tell));
    const setting = { session, connection, done: Promise.all(answers).then(() => undefined, refuse) };
    this.#setting = setting;
    setting.done.catch(() => {
      if (this.#setting === setting) this.#setting = null;
    });
    return setting.done;
  }

  #removeWatches(): void {
    const setting = this.#setting;
    this.#setting = null;
    // A server forgets its watches with the connection.
    if (setting === null || setting.session.connections !== setting.connection) return;
    for (const tree of this.#trees) {
      void bestEffort(this.#log, "the watch ends with the connection", () => setting.session.wire.unwatchTree(tree));
    }
  }
}

function refuse(error: unknown): never {
  if (!(error instanceof WireError) || error.zk !== ZK.unimplemented) throw error;
  throw new HoldlineError("configuration", "this ZooKeeper cannot be watched: its server is older than 3.6", {
    hint: "update the server, or look again now and then instead",
    cause: error,
  });
}

/** An entry of a queue, and the function that the server's reports about it go to. */
interface Watched {
  readonly ref: string;
  readonly path: string;
  readonly watcher: Watcher;
}

/**
 * Waits until one of the entries `refs` has left a queue, and gives all of them that have. The server reports everything in the order in
 * which it happened, so a waiter that has not heard that its own entry is gone still has it. The watches stay set: a waiter that waits
 * again asks the server only about entries that it has not promised to report.
 * @param refs in the order of the queue
 * @param own the waiter's own entry in the same queue, which must be there all the while; `null` when it has none
 */
export async function waitForDeparture(
  session: ZkSession,
  folder: string,
  refs: readonly string[],
  own: EntryRef | null,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const gone = new Set<string>();
  // Entries that may be durable. Only the one at the front can have settled before it is watched.
  const doubtful = new Set(refs.slice(0, 1).filter(maySettle));
  let isOver = false;
  let isChanged: boolean;
  let wake = (): void => undefined;
  const watched = (own === null ? refs : [...refs, own.ref]).map((ref): Watched => {
    const isOwn = ref === own?.ref;
    const watcher: Watcher = (isDeleted, wasEphemeral) => {
      // A claim that settles is deleted and made again in one transaction. Any other claim that is deleted has left.
      if (isDeleted && (isOwn || !wasEphemeral || !maySettle(ref))) gone.add(ref);
      else if (maySettle(ref)) doubtful.add(ref);
      isChanged = true;
      wake();
    };
    return { ref, path: `${folder}/${ref}`, watcher };
  });

  /** Asks about each entry that may be durable on its own, and about all others in one request. */
  const ask = (wire: Wire, unknown: readonly Watched[]): Promise<unknown> => {
    const looks = unknown
      .filter(({ ref }) => doubtful.has(ref))
      .map(async ({ ref, path, watcher }) => {
        if (!(await wire.existsWatched(path, watcher, () => !isOver))) gone.add(ref);
      });
    const others = unknown.filter(({ ref }) => !doubtful.has(ref));
    if (others.length === 0) return Promise.all(looks);
    // When the nearest entry leaves, it is this waiter's turn. The others may be reported later.
    const isNearest = ({ ref }: Watched): boolean => ref === refs.at(-1);
    const told = wire.watchAll(
      others.filter(isNearest).map(({ path }) => path),
      others.filter((other) => !isNearest(other)).map(({ path }) => path),
    );
    for (const { path, watcher } of others) wire.listen(path, watcher);
    return Promise.all([told, ...looks]);
  };

  try {
    for (;;) {
      signal?.throwIfAborted();
      session.lost.throwIfAborted();
      isChanged = false;
      // Events may have been lost with a connection: after a reconnect the waiter asks about everything again.
      const { connections } = session;
      const unknown = watched.filter(({ ref, path, watcher }) => !gone.has(ref) && !session.wire.listen(path, watcher));
      if (unknown.length > 0 || !session.isUsable) await session.retry(signal, (wire) => ask(wire, unknown));
      if (own !== null && gone.has(own.ref)) {
        // It may have gone with its session. Then the server says so instead of answering.
        await session.retry(signal, (wire) => wire.exists(folder));
        throw takenOutError(own);
      }
      // Entries that changed during the question may have left as well, and nobody has reported those that left before a reconnect.
      if (gone.size > 0 && !isChanged && session.connections === connections) return [...gone];
      while (!isChanged && session.connections === connections && !session.lost.aborted && signal?.aborted !== true)
        await session.nextChange(signal, (done) => (wake = done));
    }
  } finally {
    isOver = true;
    for (const { path, watcher } of watched) session.wire.unwatch(path, watcher);
  }
}

function maySettle(ref: string): boolean {
  return parseClaimName(ref)?.settles !== false;
}
