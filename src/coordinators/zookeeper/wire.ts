// What is asked of ZooKeeper, each request a method. Connections are connection.ts's.
import ACL from "node-zookeeper-client/lib/ACL.js";
import type { Reply } from "node-zookeeper-client/lib/jute/index.js";
import jute from "node-zookeeper-client/lib/jute/index.js";
import type { Credentials, Server, WireListener } from "./connection.js";
import { Connection } from "./connection.js";
import type { Stat, Step } from "./protocol.js";
import {
  ADD_WATCH,
  numberOf,
  PathAndNumber,
  PERSISTENT_RECURSIVE,
  REMOVE_WATCHES,
  statOf,
  WATCHES_OF_ANY_KIND,
  WireError,
  ZK,
} from "./protocol.js";
import type { Watcher } from "./watches.js";

const { OP_CODES } = jute;

export class Wire extends Connection {
  readonly #acl: typeof ACL.OPEN_ACL_UNSAFE;

  constructor(servers: readonly Server[], sessionTimeoutMs: number, credentials: Credentials | null, listener: WireListener) {
    super(servers, sessionTimeoutMs, credentials, listener);
    this.#acl = credentials === null ? ACL.OPEN_ACL_UNSAFE : ACL.CREATOR_ALL_ACL;
  }

  async create(path: string, data: Buffer, mode: number): Promise<string> {
    const payload = new jute.protocol.CreateRequest();
    Object.assign(payload, { path, data, acl: this.#acl.map((acl) => acl.toRecord()), flags: mode });
    const reply = await this.send(OP_CODES.CREATE, payload);
    return (reply.payload as { readonly path: string }).path;
  }

  async remove(path: string, version = -1): Promise<void> {
    await this.send(OP_CODES.DELETE, Object.assign(new jute.protocol.DeleteRequest(), { path, version }));
  }

  async setData(path: string, data: Buffer, version: number): Promise<Stat> {
    const reply = await this.send(OP_CODES.SET_DATA, Object.assign(new jute.protocol.SetDataRequest(), { path, data, version }));
    return statOf(reply);
  }

  /** A znode's data and status; `null` when there is none. */
  async getData(path: string): Promise<{ readonly data: string; readonly stat: Stat } | null> {
    const payload = Object.assign(new jute.protocol.GetDataRequest(), { path, watch: false });
    const reply = await this.#sendOrNull(OP_CODES.GET_DATA, payload);
    if (reply === null) return null;
    return { data: (reply.payload as { readonly data: Buffer | undefined })?.data?.toString() ?? "", stat: statOf(reply) };
  }

  /** The names of a znode's children; `null` when the znode is not there. */
  async getChildren(path: string): Promise<readonly string[] | null> {
    const payload = Object.assign(new jute.protocol.GetChildren2Request(), { path, watch: false });
    const reply = await this.#sendOrNull(OP_CODES.GET_CHILDREN2, payload);
    return reply === null ? null : (reply.payload as { readonly children: readonly string[] }).children;
  }

  /** A znode's status; `null` when there is none. */
  async exists(path: string): Promise<Stat | null> {
    const reply = await this.#sendOrNull(OP_CODES.EXISTS, existsRequest(path, false));
    return reply === null ? null : statOf(reply);
  }

  /**
   * Is a znode there? Then the watcher is called at its next change, once. Where the server is to tell of that already, it
   * is not asked again.
   * @param isWanted asked when the answer comes: a watcher that nobody wants any more is not registered
   */
  async watched(path: string, watcher: Watcher, isWanted: () => boolean): Promise<boolean> {
    if (this.watches.isArmed(path)) {
      this.watches.listen(path, watcher);
      return true;
    }
    const reply = await this.#sendOrNull(OP_CODES.EXISTS, existsRequest(path, true), (answer) => {
      this.watches.arm(path, statOf(answer).ephemeralOwner !== null);
      if (isWanted()) this.watches.listen(path, watcher);
    });
    return reply !== null;
  }

  /** Forgets a watcher. */
  unwatch(path: string, watcher: Watcher): void {
    this.watches.unlisten(path, watcher);
  }

  /** All steps or none. Gives the paths of what was created, by step, and the transaction's zxid. */
  async transaction(steps: readonly Step[]): Promise<{ readonly paths: readonly (string | null)[]; readonly zxid: number }> {
    const withAcl = steps.map((step) => (step.type === OP_CODES.CREATE ? { ...step, acls: this.#acl } : step));
    const reply = await this.send(OP_CODES.MULTI, new jute.TransactionRequest(withAcl));
    const results = (reply.payload as { readonly results: readonly { type: number; err?: number; path?: string }[] }).results;
    // Where one failed, those before it carry no error and those after it another code: the first is the cause.
    const failed = results.findIndex((result) => result.type === OP_CODES.ERROR && result.err !== 0);
    if (failed >= 0) throw new WireError(results[failed]?.err ?? ZK.connectionLoss, failed);
    return { paths: results.map((result) => result.path ?? null), zxid: numberOf(reply.header.zxid) };
  }

  /**
   * Has `onChange` called at every change of a znode, which need not exist, and of all below it: on this connection, and
   * not on the next. Servers have known this since 3.6.
   */
  async watchTree(path: string, onChange: (path: string) => void): Promise<void> {
    this.watches.addTree(path, onChange);
    await this.send(ADD_WATCH, new PathAndNumber(path, PERSISTENT_RECURSIVE));
  }

  async unwatchTree(path: string): Promise<void> {
    this.watches.removeTree(path);
    await this.send(REMOVE_WATCHES, new PathAndNumber(path, WATCHES_OF_ANY_KIND));
  }

  async #sendOrNull(type: number, payload: unknown, onReply?: (reply: Reply) => void): Promise<Reply | null> {
    try {
      return await this.send(type, payload, onReply);
    } catch (error) {
      if (error instanceof WireError && error.zk === ZK.noNode) return null;
      throw error;
    }
  }
}

function existsRequest(path: string, watch: boolean): unknown {
  return Object.assign(new jute.protocol.ExistsRequest(), { path, watch });
}
