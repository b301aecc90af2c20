// Telling of all that changes under a root: recursive watches that the server keeps for one connection, set again with
// each, and shared by all who want to be told. What has changed is for them to read.
//
//   unset → (the first watch) setting → set → (another connection) setting …
//     ↑________________ the last watch is closed _________________|
import type { Change, Log, StoreTime, StoreWatch } from "../../locks/coordinator.js";
import { bestEffort, HoldlineError } from "../../locks/errors.js";
import { Listeners } from "../../locks/listeners.js";
import { readClock } from "./upkeep.js";
import { changedAt } from "./layout.js";
import type { Layout } from "./layout.js";
import type { ZkSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import { WireError, ZK } from "./protocol.js";

/** The watches on one connection, being set or set. */
interface Setting {
  readonly session: ZkSession;
  readonly connection: number;
  readonly done: Promise<void>;
}

export class Changes {
  readonly #sessions: Sessions;
  /** Not the whole root: the clock under it is written to by whoever reads the time. */
  readonly #trees: readonly string[];
  readonly #layout: Layout;
  readonly #log: Log;
  readonly #listeners = new Listeners();
  #setting: Setting | null = null;

  constructor(sessions: Sessions, layout: Layout, log: Log) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#trees = [layout.locks, layout.alive, layout.history];
    this.#log = log;
  }

  async watch(onChange: (change: Change) => void, signal?: AbortSignal): Promise<StoreWatch> {
    // Before the server knows: its first event may be in the same packet as its answer.
    const remove = this.#listeners.add(onChange);
    const close = (): void => {
      remove();
      if (this.#listeners.isEmpty) this.#unset();
    };
    try {
      await this.#sessions.retry(signal, (session) => this.#set(session));
    } catch (error) {
      close();
      throw error;
    }
    // A write goes through the leader, and a server sends a client the events of what came before it ahead of its answer.
    const caughtUp = (patience?: AbortSignal): Promise<StoreTime> =>
      this.#sessions.retry(patience, async (session) => {
        await this.#set(session);
        return { ms: await readClock(session.wire, this.#layout), errorMs: 0 };
      });
    return { caughtUp, close };
  }

  /** After every connection: the server that now answers knows of no watch, and changes may have passed by. */
  renew(): void {
    if (this.#listeners.isEmpty) return;
    void bestEffort(this.#log, "changes are not noticed before the next connection", async () => {
      try {
        // Not when the last watch was closed meanwhile.
        await this.#sessions.retry(undefined, async (session) => void (!this.#listeners.isEmpty && (await this.#set(session))));
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

  /** Has the watches on a session's present connection set, once. */
  #set(session: ZkSession): Promise<void> {
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

  #unset(): void {
    const setting = this.#setting;
    this.#setting = null;
    // A server forgets with the connection.
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
