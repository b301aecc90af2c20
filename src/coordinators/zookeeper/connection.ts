// One connection at a time to a ZooKeeper ensemble, under one session id: requests out, replies and watch events in.
// It closes node-zookeeper-client's gaps on the wire, and is the only file that touches that package's inside. When a
// session counts as lost, and what is tried again, is decided in session.ts.
//
//   connecting → connected → connecting (another server, the same session id) → …
//        ↓ the server says the session is over        ↓ close(), abandon()
//      expired                                       closed
import ConnectionManager from "node-zookeeper-client/lib/ConnectionManager.js";
import type { Reply } from "node-zookeeper-client/lib/jute/index.js";
import jute from "node-zookeeper-client/lib/jute/index.js";
import { ADD_WATCH, eventIn, headOf, numberOf, REMOVE_WATCHES, WireError, XID, ZK } from "./protocol.js";

import { Watches } from "./watches.js";

const { STATES } = ConnectionManager;
const { OP_CODES } = jute;

// The codes that the package knows; it throws inside its socket handler when a server sends any other.
const KNOWN_TO_PACKAGE = new Set([
  0, -1, -2, -3, -4, -5, -6, -7, -8, -100, -101, -102, -103, -108, -110, -111, -112, -113, -114, -115,
]);

// Requests that the package does not know: it hangs up when one is answered.
const UNKNOWN_TO_PACKAGE: ReadonlySet<number | undefined> = new Set([ADD_WATCH, REMOVE_WATCHES]);

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

// Between two rounds through all servers the package pauses a random part of this: short against the session timeout,
// long enough that a fleet does not hammer an ensemble that is starting.
const SPIN_DELAY_MS = 300;

// Well above what a server sends at the most (its own limit is 1 MiB for a znode): a greater length is no length.
const LONGEST_FRAME = 256 * 1_048_576;

// How long a graceful close waits for the server's word before it just hangs up: the session then ends by its timeout.
const CLOSE_PATIENCE_MS = 1_000;

export class Connection {
  readonly #manager: ConnectionManager;
  readonly #listener: WireListener;
  readonly #outstanding = new Set<(code: number) => void>();
  protected readonly watches = new Watches();
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

  /** @param onReply runs in the same turn in which a good reply is read, before any event behind it is. */
  protected send(type: number, payload: unknown, onReply?: (reply: Reply) => void): Promise<Reply> {
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
        onReply?.(reply);
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
      this.watches.disarm();
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
    this.heardAt = performance.now();
    const head = this.#manager.state === STATES.CONNECTING ? null : headOf(frame);
    if (head?.xid === XID.ping) this.confirmedAt = Math.max(this.confirmedAt, this.#pingsSentAt.shift() ?? 0);
    if (head?.xid === XID.event) return this.#onEvent(frame);
    if (head !== null && head.xid >= 0 && this.#onReply(head)) return;
    try {
      ConnectionManager.prototype.onSocketData.call(this.#manager, frame);
    } catch (error) {
      // A frame that the package cannot read: nothing behind it on this connection can be trusted.
      this.drop(`an answer that could not be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** Tells whoever watches the znode that an event is about. The package is told of none, because it sets no watches. */
  #onEvent(frame: Buffer): void {
    const event = eventIn(frame);
    if (event !== null) this.watches.tell(event.path, event.type);
  }

  /** Takes a reply that the package cannot; `false` for those that it can. */
  #onReply({ xid, zxid, code }: { readonly xid: number; readonly zxid: Buffer; readonly code: number }): boolean {
    const { pendingQueue } = this.#manager;
    const [packet] = pendingQueue;
    const header = packet?.request.header;
    // Out of order: the package hangs up.
    if (header?.xid !== xid || (KNOWN_TO_PACKAGE.has(code) && !(code === 0 && UNKNOWN_TO_PACKAGE.has(header.type)))) return false;
    pendingQueue.shift();
    packet?.callback(code === 0 ? null : { code }, { header: { zxid }, payload: null });
    return true;
  }
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
