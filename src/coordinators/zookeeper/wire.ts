// What is asked of ZooKeeper, each request a method. Connections are connection.ts's.
import type { Credentials, Server, WireListener } from "./connection.js";
import { Connection } from "./connection.js";
import { sizeOf } from "./jute.js";
import type { Done, IsWanted, Right } from "./messages.js";
import {
  ACL,
  askFor,
  askForRights,
  change,
  pathAndNumber,
  readRights,
  readStat,
  readTexts,
  readTransaction,
  setRights,
  setWatches,
  transaction,
} from "./messages.js";
import { op, PERSISTENT_RECURSIVE, type Stat, type Step, TYPE, WATCHES_OF_ANY_KIND, WireError } from "./protocol.js";
import type { Watcher } from "./watches.js";

export class Wire extends Connection {
  readonly #acl: Buffer;

  constructor(
    servers: readonly Server[],
    sessionTimeoutMs: number,
    credentials: Credentials | null,
    listener: WireListener,
    clock: () => number,
  ) {
    super(servers, sessionTimeoutMs, credentials, listener, clock);
    this.#acl = credentials === null ? ACL.open : ACL.creator;
  }

  /**
   * Gives the path of the new znode, which for a sequential one is longer than the one that was asked for.
   * @param onCreated is given it in the turn in which the answer is read, before any answer behind it is
   */
  create(path: string, data: Buffer, mode: number, onCreated?: (path: string) => void): Promise<string> {
    return this.send(change(op.create(path, data, mode), this.#acl), (answer) => {
      const created = answer.text();
      onCreated?.(created);
      return created;
    });
  }

  remove(path: string, version = -1): Promise<void> {
    return this.send(change(op.remove(path, version), this.#acl), nothing);
  }

  setData(path: string, data: Buffer, version: number): Promise<Stat> {
    return this.send(change(op.setData(path, data, version), this.#acl), readStat);
  }

  /** A znode's data and status; `null` when there is none. */
  getData(path: string): Promise<{ readonly data: string; readonly stat: Stat } | null> {
    return this.sendOrNull(askFor(TYPE.getData, path, false), (answer) => ({ data: answer.text(), stat: readStat(answer) }));
  }

  /**
   * The names of a znode's children; `null` when the znode is not there.
   * @param isWanted leaves others out, of a list that may be long
   */
  getChildren(path: string, isWanted: IsWanted = () => true): Promise<readonly string[] | null> {
    return this.sendOrNull(askFor(TYPE.getChildren, path, false), (answer) => readTexts(answer, isWanted));
  }

  /** Who may do what with a znode; `null` when there is none. */
  getRights(path: string): Promise<readonly Right[] | null> {
    return this.sendOrNull(askForRights(path), readRights);
  }

  /** Gives a znode the rights of those that this session creates. False where it is not there. */
  async takeRights(path: string): Promise<boolean> {
    return (await this.sendOrNull(setRights(path, this.#acl), () => true)) ?? false;
  }

  /** A znode's status; `null` when there is none. */
  exists(path: string): Promise<Stat | null> {
    return this.sendOrNull(askFor(TYPE.exists, path, false), readStat);
  }

  /** Has the watcher called at a znode's next change, where the server is to tell of that already; and says whether it is. */
  listen(path: string, watcher: Watcher): boolean {
    return this.watches.listen(path, watcher);
  }

  /**
   * Is a znode there? Then the watcher is called at its next change, once.
   * @param isWanted asked when the answer comes: a watcher that nobody wants any more is not registered
   */
  async watched(path: string, watcher: Watcher, isWanted: () => boolean): Promise<boolean> {
    const isThere = await this.sendOrNull(askFor(TYPE.exists, path, true), (answer) => {
      this.watches.arm(path, readStat(answer).ephemeralOwner !== null)();
      if (isWanted()) this.watches.listen(path, watcher);
      return true;
    });
    return isThere ?? false;
  }

  /**
   * Has the server tell of the next change of znodes, or at once of those that are not there, by one request for all of them.
   * They are taken to be ephemeral. What `listen`s in the same turn misses nothing.
   * @param first told of before all others, `last` among them, of whatever session, that watch the same znode
   */
  async watchAll(first: readonly string[], last: readonly string[]): Promise<void> {
    const paths = [...first, ...last];
    // An event may be in front of the answer.
    const answered = this.isConnected ? paths.map((path) => this.watches.arm(path, true)) : [];
    const [batch = [], ...batches] = inBatches(last);
    try {
      await Promise.all([
        this.send(setWatches(this.lastZxid, first, batch), nothing),
        ...batches.map((another) => this.send(setWatches(this.lastZxid, [], another), nothing)),
      ]);
      for (const confirm of answered) confirm();
    } catch (error) {
      for (const path of paths) this.watches.unarm(path);
      throw error;
    }
  }

  /** Forgets a watcher. */
  unwatch(path: string, watcher: Watcher): void {
    this.watches.unlisten(path, watcher);
  }

  /**
   * All steps or none; gives what came of each.
   * @param onDone see {@link create}
   * @throws WireError with the step that failed
   */
  transaction(steps: readonly Step[], onDone?: (done: readonly Done[]) => void): Promise<readonly Done[]> {
    return this.send(transaction(steps, this.#acl), (answer) => {
      const done = readTransaction(answer);
      onDone?.(done);
      return done;
    });
  }

  /** A write that changes nothing, and tells no watch: its answer confirms the session, also where it refuses the look at the root. */
  async confirm(): Promise<void> {
    try {
      await this.transaction([op.check("/", ANY_VERSION)]);
    } catch (error) {
      if (!(error instanceof WireError) || error.operation === null) throw error;
    }
  }

  /**
   * Has `onChange` called at every change of a znode, which need not exist, and of all below it: on this connection, and
   * not on the next. Servers have known this since 3.6.
   */
  watchTree(path: string, onChange: (path: string) => void): Promise<void> {
    this.watches.addTree(path, onChange);
    return this.send(pathAndNumber(TYPE.addWatch, path, PERSISTENT_RECURSIVE), nothing);
  }

  unwatchTree(path: string): Promise<void> {
    this.watches.removeTree(path);
    return this.send(pathAndNumber(TYPE.removeWatches, path, WATCHES_OF_ANY_KIND), nothing);
  }
}

const ANY_VERSION = -1;

// A server hangs up on a request that is longer than its jute.maxbuffer, which is 1 MiB where nobody has changed it. With
// many slots, many stand in the way.
const LONGEST_BATCH_BYTES = 131_072;

function inBatches(paths: readonly string[]): string[][] {
  const batches: string[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const path of paths) {
    size += sizeOf(path);
    if (size > LONGEST_BATCH_BYTES) {
      batches.push([]);
      size = sizeOf(path);
    }
    batches.at(-1)?.push(path);
  }
  return batches;
}

/** Who asked wants to know that it was done, and no more. */
const nothing = (): void => undefined;
