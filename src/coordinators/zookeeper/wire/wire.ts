// The requests that Holdline sends to ZooKeeper, one method each. connection.ts owns the connection that they go through.
import { type Access, isIdentified, type Server } from "./access.js";
import { Connection, type ConnectionListener } from "./connection.js";
import { Request, sizeOf } from "./jute.js";
import type { Identity, StepResult, IsWanted, Right } from "./messages.js";
import {
  ACL,
  readRequest,
  getRightsRequest,
  changeRequest,
  pathAndNumberRequest,
  parseIdentities,
  parseRights,
  parseStat,
  parseTexts,
  parseTransaction,
  setRightsRequest,
  setWatchesRequest,
  transactionRequest,
} from "./messages.js";
import { op, PERSISTENT_RECURSIVE, type Stat, type Step, TYPE, WATCHES_OF_ANY_KIND, WireError } from "./protocol.js";
import type { Watcher } from "./watches.js";

export class Wire extends Connection {
  readonly #acl: Buffer;

  constructor(
    servers: readonly Server[],
    sessionTimeoutMs: number,
    access: Access,
    listener: ConnectionListener,
    clock: () => number,
  ) {
    super(servers, sessionTimeoutMs, access, listener, clock);
    this.#acl = isIdentified(access) ? ACL.creator : ACL.open;
  }

  /**
   * Creates a znode and gives its path. The server appends a number to the path of a sequential one.
   * @param onCreated gets the path in the turn in which the answer arrives, before any answer behind it is read
   */
  create(path: string, data: Buffer, mode: number, onCreated?: (path: string) => void): Promise<string> {
    return this.send(changeRequest(op.create(path, data, mode), this.#acl), (answer) => {
      const created = answer.text();
      onCreated?.(created);
      return created;
    });
  }

  remove(path: string, version = -1): Promise<void> {
    return this.send(changeRequest(op.remove(path, version), this.#acl), nothing);
  }

  setData(path: string, data: Buffer, version: number): Promise<Stat> {
    return this.send(changeRequest(op.setData(path, data, version), this.#acl), parseStat);
  }

  /** A znode's data and status; `null` when there is none. */
  getData(path: string): Promise<{ readonly data: string; readonly stat: Stat } | null> {
    return this.sendOrNull(readRequest(TYPE.getData, path, false), (answer) => ({ data: answer.text(), stat: parseStat(answer) }));
  }

  /**
   * The names of a znode's children; `null` when the znode is not there.
   * @param isWanted makes no strings of the names that it rejects: the list may be long
   */
  getChildren(path: string, isWanted: IsWanted = () => true): Promise<readonly string[] | null> {
    return this.sendOrNull(readRequest(TYPE.getChildren, path, false), (answer) => parseTexts(answer, isWanted));
  }

  /** A znode's access rights; `null` when there is none. */
  getRights(path: string): Promise<readonly Right[] | null> {
    return this.sendOrNull(getRightsRequest(path), parseRights);
  }

  /** Gives a znode the rights that this session's own znodes have. False when the znode is missing. */
  async takeRights(path: string): Promise<boolean> {
    return (await this.sendOrNull(setRightsRequest(path, this.#acl), () => true)) ?? false;
  }

  /** As whom the server knows this client. Servers know this question since 3.7. */
  whoAmI(): Promise<readonly Identity[]> {
    return this.send(new Request(TYPE.whoAmI, 0), parseIdentities);
  }

  /** A znode's status; `null` when there is none. */
  exists(path: string): Promise<Stat | null> {
    return this.sendOrNull(readRequest(TYPE.exists, path, false), parseStat);
  }

  /** Calls the watcher at a znode's next change, if the server has promised to report that change. Returns whether it has. */
  listen(path: string, watcher: Watcher): boolean {
    return this.watches.listen(path, watcher);
  }

  /**
   * Whether a znode exists. If it does, the watcher is called once, at its next change.
   * @param isWanted asked when the answer arrives, so that an abandoned watcher is not registered
   */
  async existsWatched(path: string, watcher: Watcher, isWanted: () => boolean): Promise<boolean> {
    const isThere = await this.sendOrNull(readRequest(TYPE.exists, path, true), (answer) => {
      this.watches.arm(path, parseStat(answer).ephemeralOwner !== null)();
      if (isWanted()) this.watches.listen(path, watcher);
      return true;
    });
    return isThere ?? false;
  }

  /**
   * Asks the server, in one request, to report the next change of each znode, and at once those that are gone. All of them count as
   * ephemeral. A watcher that `listen`s in the same turn misses nothing.
   * @param first the server reports these before all other watches on the same znode, `last` and other sessions included
   */
  async watchAll(first: readonly string[], last: readonly string[]): Promise<void> {
    const paths = [...first, ...last];
    // An event may arrive before the answer.
    const answered = this.isConnected ? paths.map((path) => this.watches.arm(path, true)) : [];
    const [batch = [], ...batches] = inBatches(last);
    try {
      await Promise.all([
        this.send(setWatchesRequest(this.lastZxid, first, batch), nothing),
        ...batches.map((another) => this.send(setWatchesRequest(this.lastZxid, [], another), nothing)),
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
   * Carries out all steps or none; gives the result of each.
   * @param onDone see {@link create}
   * @throws WireError with the step that failed
   */
  transaction(steps: readonly Step[], onDone?: (done: readonly StepResult[]) => void): Promise<readonly StepResult[]> {
    return this.send(transactionRequest(steps, this.#acl), (answer) => {
      const done = parseTransaction(answer);
      onDone?.(done);
      return done;
    });
  }

  /** A write that changes nothing and fires no watch. Its answer confirms the session, even when the server refuses the check of the root. */
  async confirm(): Promise<void> {
    try {
      await this.transaction([op.check("/", ANY_VERSION)]);
    } catch (error) {
      if (!(error instanceof WireError) || error.operation === null) throw error;
    }
  }

  /**
   * Calls `onChange` at every change of a znode, which need not exist, and of everything below it: on this connection, not on the
   * next. Servers know this since 3.6.
   */
  watchTree(path: string, onChange: (path: string) => void): Promise<void> {
    this.watches.addTree(path, onChange);
    return this.send(pathAndNumberRequest(TYPE.addWatch, path, PERSISTENT_RECURSIVE), nothing);
  }

  unwatchTree(path: string): Promise<void> {
    this.watches.removeTree(path);
    return this.send(pathAndNumberRequest(TYPE.removeWatches, path, WATCHES_OF_ANY_KIND), nothing);
  }
}

const ANY_VERSION = -1;

// A server hangs up on a request that is longer than its jute.maxbuffer, by default 1 MiB. A waiter for a lock with many slots
// watches many claims.
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

/** For requests whose answer says no more than that they succeeded. */
const nothing = (): void => undefined;
