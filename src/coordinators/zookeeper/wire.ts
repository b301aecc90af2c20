// One connection at a time to a ZooKeeper ensemble, under one session id: requests out, replies and watch events in.
// It closes node-zookeeper-client's gaps on the wire, and is the only file that touches that package's inside. When a
// session counts as lost, and what is tried again, is decided in session.ts.
//
//   connecting → connected → connecting (another server, the same session id) → …
//        ↓ the server says the session is over        ↓ close(), abandon()
//      expired                                       closed
import type { Packet } from "node-zookeeper-client/lib/ConnectionManager.js";
import ConnectionManager from "node-zookeeper-client/lib/ConnectionManager.js";
import type { Operation, Reply } from "node-zookeeper-client/lib/jute/index.js";
import jute from "node-zookeeper-client/lib/jute/index.js";
import ACL from "node-zookeeper-client/lib/ACL.js";

const { STATES } = ConnectionManager;
const { OP_CODES } = jute;

/** ZooKeeper's error codes, as its protocol numbers them, that Holdline tells apart. */
export const ZK = {
  connectionLoss: -4,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  sessionExpired: -112,
  authFailed: -115,
} as const;

// The codes that the package knows; it throws inside its socket handler when a server sends any other.
const KNOWN_TO_PACKAGE = new Set([0, -1, -2, -3, -4, -5, -6, -7, -8, -100, -101, -102, -103, -108, -110, -111, -112, -113, -114, -115]);

/** A server's refusal, or the loss of the connection before a reply. Never leaves this folder. */
export class WireError extends Error {
  override readonly name = "WireError";
  constructor(
    readonly zk: number,
    /** In a transaction: the operation that failed, counted from 0. */
    readonly operation: number | null = null,
  ) {
    super(`ZooKeeper error ${zk}${operation === null ? "" : ` in operation ${operation} of the transaction`}`);
  }
}

/** A znode's status, in the server's figures. Times are milliseconds since 1970, by the server's clock. */
export interface Stat {
  readonly czxid: number;
  readonly mzxid: number;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  /** The session that an ephemeral znode belongs to, in hexadecimal; `null` for a persistent one. */
  readonly ephemeralOwner: string | null;
}

export interface Server {
  readonly host: string;
  readonly port: number;
}

/** `user:password` of ZooKeeper's digest scheme. */
export type Credentials = string;

/** What a wire tells its session. */
export interface WireListener {
  /** Connected, for the first time or again, under the same session. */
  connected(): void;
  disconnected(): void;
  expired(): void;
  authenticationFailed(): void;
}

/** One step of a transaction; made by {@link op}. */
export type Step = Operation;

const PERSISTENT = 0;
const EPHEMERAL = 1;
const PERSISTENT_SEQUENTIAL = 2;
const EPHEMERAL_SEQUENTIAL = 3;
export const MODE = { PERSISTENT, EPHEMERAL, PERSISTENT_SEQUENTIAL, EPHEMERAL_SEQUENTIAL } as const;

// Between two rounds through all servers the package pauses a random part of this: short against the session timeout,
// long enough that a fleet does not hammer an ensemble that is starting.
const SPIN_DELAY_MS = 300;

// Well above what a server sends at the most (its own limit is 1 MiB for a znode): a greater length is no length.
const LONGEST_FRAME = 256 * 1_048_576;

// How long a graceful close waits for the server's word before it just hangs up: the session then ends by its timeout.
const CLOSE_PATIENCE_MS = 1_000;

export class Wire {
  readonly #manager: ConnectionManager;
  readonly #listener: WireListener;
  readonly #acl: typeof ACL.OPEN_ACL_UNSAFE;
  readonly #outstanding = new Set<(code: number) => void>();
  #rest: Buffer | null = null;
  #pingsSentAt: number[] = [];
  #connectSentAt = 0;
  #connectingSince = performance.now();
  #closed = false;
  #onClosed: (() => void) | null = null;

  /** When the newest request was sent that the server has answered, on this process's monotonic clock: the server has kept the session alive at least since then. */
  confirmedAt = 0;
  /** When anything was last heard from the server. */
  heardAt = 0;
  /** Why the last connection or attempt failed, in words, for messages. */
  problem: string | null = null;

  constructor(servers: readonly Server[], sessionTimeoutMs: number, credentials: Credentials | null, listener: WireListener) {
    this.#listener = listener;
    this.#acl = credentials === null ? ACL.OPEN_ACL_UNSAFE : ACL.CREATOR_ALL_ACL;
    // The package's own parser knows no IPv6 addresses, so the servers are set past it.
    const manager = new ConnectionManager("unused:1", { sessionTimeout: sessionTimeoutMs, spinDelay: SPIN_DELAY_MS }, (state) =>
      this.#onState(state),
    );
    manager.servers = shuffled(servers);
    manager.updateTimeout(sessionTimeoutMs);
    if (credentials !== null) manager.addAuthInfo("digest", Buffer.from(credentials));
    this.#manager = manager;
    this.#closeGaps(manager);
  }

  connect(): void {
    this.#manager.connect();
  }

  get isConnected(): boolean {
    return this.#manager.state === STATES.CONNECTED;
  }

  /** The session's id in hexadecimal; all zeros before the first connection. */
  get sessionId(): string {
    return this.#manager.sessionId.toString("hex");
  }

  /** The newest transaction that the server had carried out when it last answered. */
  get lastZxid(): number {
    return numberOf(this.#manager.zxid);
  }

  /** What the server granted, in milliseconds. */
  get sessionTimeoutMs(): number {
    return this.#manager.sessionTimeout;
  }

  /** How long a connection attempt has gone unanswered, in milliseconds; 0 when none is under way. */
  get connectingForMs(): number {
    return this.#manager.state === STATES.CONNECTING ? performance.now() - this.#connectingSince : 0;
  }

  /** Hangs up on a server that does not answer: the next one is tried. */
  drop(reason: string): void {
    this.problem = reason;
    this.#manager.socket?.destroy();
  }

  /** Ends the session on the server, as far as it can be told; resolves when that is done or hopeless. */
  async close(): Promise<void> {
    if (this.#closed) return;
    if (this.isConnected) {
      const ended = new Promise<void>((resolve) => {
        this.#onClosed = resolve;
      });
      const header = new jute.protocol.RequestHeader();
      header.type = OP_CODES.CLOSE_SESSION;
      const patience = setTimeout(() => this.#onClosed?.(), CLOSE_PATIENCE_MS);
      this.#manager.state = STATES.CLOSING;
      this.#manager.queue(new jute.Request(header, null), () => this.#onClosed?.());
      await ended;
      clearTimeout(patience);
    }
    this.abandon();
  }

  /** Hangs up for good and tells the server nothing. Everything outstanding fails. */
  abandon(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#manager.state = STATES.CLOSING; // The package does not connect again from this state.
    this.#manager.socket?.destroy();
    this.#failOutstanding();
  }

  async create(path: string, data: Buffer, mode: number): Promise<string> {
    const payload = new jute.protocol.CreateRequest();
    Object.assign(payload, { path, data, acl: this.#acl.map((acl) => acl.toRecord()), flags: mode });
    const reply = await this.#send(OP_CODES.CREATE, payload);
    return (reply.payload as { readonly path: string }).path;
  }

  async remove(path: string, version = -1): Promise<void> {
    await this.#send(OP_CODES.DELETE, Object.assign(new jute.protocol.DeleteRequest(), { path, version }));
  }

  async setData(path: string, data: Buffer, version: number): Promise<Stat> {
    const reply = await this.#send(OP_CODES.SET_DATA, Object.assign(new jute.protocol.SetDataRequest(), { path, data, version }));
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

  /**
   * A znode's status; `null` when there is none.
   * @param watcher called once when the znode is deleted, replaced or written; not registered when it is not there
   * @param isWanted asked when the answer comes: a watcher that nobody wants any more is not registered either
   */
  async exists(path: string, watcher?: () => void, isWanted = (): boolean => true): Promise<Stat | null> {
    const payload = Object.assign(new jute.protocol.ExistsRequest(), { path, watch: watcher !== undefined });
    const reply = await this.#sendOrNull(OP_CODES.EXISTS, payload, () => {
      if (watcher !== undefined && isWanted()) this.#manager.registerDataWatcher(path, watcher);
    });
    return reply === null ? null : statOf(reply);
  }

  /** Forgets a watcher. The server still sends its event, once, which then goes nowhere. */
  unwatch(path: string, watcher: () => void): void {
    this.#manager.watcherManager.dataWatchers[path]?.removeListener("notification", watcher);
  }

  /** All steps or none. Gives the paths of what was created, by step, and the transaction's zxid. */
  async transaction(steps: readonly Step[]): Promise<{ readonly paths: readonly (string | null)[]; readonly zxid: number }> {
    const withAcl = steps.map((step) => (step.type === OP_CODES.CREATE ? { ...step, acls: this.#acl } : step));
    const reply = await this.#send(OP_CODES.MULTI, new jute.TransactionRequest(withAcl));
    const results = (reply.payload as { readonly results: readonly { type: number; err?: number; path?: string }[] }).results;
    // Where one failed, those before it carry no error and those after it another code: the first is the cause.
    const failed = results.findIndex((result) => result.type === OP_CODES.ERROR && result.err !== 0);
    if (failed >= 0) throw new WireError(results[failed]?.err ?? ZK.connectionLoss, failed);
    return { paths: results.map((result) => result.path ?? null), zxid: numberOf(reply.header.zxid) };
  }

  async #sendOrNull(type: number, payload: unknown, onReply?: () => void): Promise<Reply | null> {
    try {
      return await this.#send(type, payload, onReply);
    } catch (error) {
      if (error instanceof WireError && error.zk === ZK.noNode) return null;
      throw error;
    }
  }

  /** @param onReply runs in the same turn in which a good reply is read, before any event behind it is. */
  #send(type: number, payload: unknown, onReply?: () => void): Promise<Reply> {
    const manager = this.#manager;
    // The package would keep the request and send it after a reconnect, ahead of the credentials and unasked.
    if (!this.isConnected) return Promise.reject(new WireError(ZK.connectionLoss));
    // The protocol's request numbers are 31 bits wide and negative ones are reserved; the package counts on past that.
    if (manager.xid >= 0x7fff_ffff) manager.xid = 1;
    const header = new jute.protocol.RequestHeader();
    header.type = type;
    const sentAt = performance.now();
    return new Promise<Reply>((resolve, reject) => {
      const fail = (code: number): void => {
        this.#outstanding.delete(fail);
        reject(new WireError(code));
      };
      this.#outstanding.add(fail);
      manager.queue(new jute.Request(header, payload), (error, reply) => {
        if (!this.#outstanding.has(fail)) return;
        if (error?.code !== ZK.connectionLoss && sentAt > this.confirmedAt) this.confirmedAt = sentAt;
        if (error !== null || reply === undefined) return fail(error?.code ?? ZK.connectionLoss);
        this.#outstanding.delete(fail);
        onReply?.();
        resolve(reply);
      });
    });
  }

  #onState(state: number): void {
    const manager = this.#manager;
    if (state === STATES.CONNECTED) {
      this.confirmedAt = Math.max(this.confirmedAt, this.#connectSentAt);
      this.heardAt = performance.now();
      this.problem = null;
      this.#listener.connected();
    } else if (state === STATES.SESSION_EXPIRED) {
      this.#listener.expired();
    } else if (state === STATES.AUTHENTICATION_FAILED) {
      this.#listener.authenticationFailed();
    } else if (state === STATES.DISCONNECTED) {
      // The package leaves behind: half a frame, which would garble the next connection; requests it did not send;
      // and a connect timer, which would destroy the next socket.
      this.#rest = null;
      this.#pingsSentAt = [];
      manager.packetQueue.queue.length = 0;
      if (manager.connectTimeoutHandler !== null) clearTimeout(manager.connectTimeoutHandler);
      this.#connectingSince = performance.now();
      this.#failOutstanding();
      this.#onClosed?.();
      this.#listener.disconnected();
    }
  }

  #failOutstanding(): void {
    for (const fail of [...this.#outstanding]) fail(ZK.connectionLoss);
  }

  /** Steps in front of the package's handlers, where they hide what a session must know or fail on what a server may send. */
  #closeGaps(manager: ConnectionManager): void {
    const original = ConnectionManager.prototype;
    manager.findNextServer = (callback) => {
      original.findNextServer.call(manager, (server) => {
        if (this.#closed) return;
        this.#connectingSince = performance.now();
        callback(server);
      });
    };
    manager.onSocketConnected = () => {
      this.#connectSentAt = performance.now();
      original.onSocketConnected.call(manager);
    };
    manager.onSocketError = (error) => {
      this.problem = socketProblem(error);
      original.onSocketError.call(manager, error);
    };
    manager.onSocketTimeout = () => {
      if (this.isConnected) this.#pingsSentAt.push(performance.now());
      original.onSocketTimeout.call(manager);
    };
    // The package handles one frame a call well; more make it copy the rest once for each and call itself that deep.
    manager.onSocketData = (chunk) => {
      let rest = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
      this.#rest = null;
      const socket = manager.socket;
      while (rest.length >= 4) {
        const length = rest.readInt32BE(0);
        if (length < 0 || length > LONGEST_FRAME) return this.drop("what answers there does not speak ZooKeeper's protocol");
        if (rest.length < 4 + length) break;
        const end = 4 + length;
        this.#onFrame(rest.subarray(0, end));
        if (manager.socket !== socket || socket?.destroyed === true) return;
        rest = rest.subarray(end);
      }
      this.#rest = rest.length === 0 ? null : rest;
    };
  }

  #onFrame(frame: Buffer): void {
    const manager = this.#manager;
    this.heardAt = performance.now();
    if (manager.state !== STATES.CONNECTING && frame.length >= 20) {
      const xid = frame.readInt32BE(4);
      const code = frame.readInt32BE(16);
      if (xid === -2) this.confirmedAt = Math.max(this.confirmedAt, this.#pingsSentAt.shift() ?? 0);
      if (xid >= 0 && !KNOWN_TO_PACKAGE.has(code)) {
        const packet: Packet | undefined = manager.pendingQueue.shift();
        packet?.callback({ code });
        return;
      }
    }
    try {
      ConnectionManager.prototype.onSocketData.call(manager, frame);
    } catch (error) {
      // A frame that the package cannot read: nothing behind it on this connection can be trusted.
      this.drop(`an answer that could not be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** The steps of a transaction. Every step that names a version holds only if the znode still has it. */
export const op = {
  create: (path: string, data: Buffer, mode: number): Step => ({ type: OP_CODES.CREATE, path, data, mode }),
  remove: (path: string, version = -1): Step => ({ type: OP_CODES.DELETE, path, version }),
  check: (path: string, version: number): Step => ({ type: OP_CODES.CHECK, path, version }),
  setData: (path: string, data: Buffer, version: number): Step => ({ type: OP_CODES.SET_DATA, path, data, version }),
};

function statOf(reply: Reply): Stat {
  const raw = (reply.payload as { readonly stat: Record<string, Buffer> & { readonly version: number } }).stat;
  const owner = raw["ephemeralOwner"] as Buffer;
  return {
    czxid: numberOf(raw["czxid"] as Buffer),
    mzxid: numberOf(raw["mzxid"] as Buffer),
    ctime: numberOf(raw["ctime"] as Buffer),
    mtime: numberOf(raw["mtime"] as Buffer),
    version: raw.version,
    ephemeralOwner: owner.every((byte) => byte === 0) ? null : owner.toString("hex"),
  };
}

// Exact up to 2^53: a zxid's upper half counts leader elections, of which there would have to be two million.
function numberOf(long: Buffer): number {
  return Number(long.readBigInt64BE(0));
}

// Where a name has several addresses, the error has no message of its own.
function socketProblem(error: Error & { readonly code?: string; readonly errors?: readonly Error[] }): string {
  return error.errors?.[0]?.message || error.message || (error.code ?? "the connection failed");
}

function shuffled<T>(items: readonly T[]): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [result[last], result[other]] = [result[other] as T, result[last] as T];
  }
  return result;
}
