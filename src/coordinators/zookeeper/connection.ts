// One connection at a time to a ZooKeeper ensemble, under one session id: requests out, answers and watch events in.
// node-zookeeper-client connects, keeps the session alive and finds the next server; this is the only file that touches
// its inside. When a session counts as lost, and what is tried again, is decided in session.ts.
//
//   connecting → connected → connecting (another server, the same session id) → …
//        ↓ the server says the session is over        ↓ close(), abandon()
//      expired                                       closed
import type { OnReadOpts } from "node:net";
import ConnectionManager from "node-zookeeper-client/lib/ConnectionManager.js";
import { messageOf } from "../../locks/errors.js";
import { Confirmations, LEADER_PING_PAUSE } from "./confirmations.js";
import { Frames } from "./frames.js";
import { type Answer, longAt, Request } from "./jute.js";
import { eventIn, headOf } from "./messages.js";
import { isFromLeader, isWrite, TYPE, WireError, XID, ZK } from "./protocol.js";
import { type Answered, Requests } from "./requests.js";
import { Watches } from "./watches.js";

const { STATES } = ConnectionManager;

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

// What all connections of the process read into, one at a time: what is kept of it is copied.
const READ_INTO = Buffer.allocUnsafeSlow(65_536);

// How long a graceful close waits for the server's word before it just hangs up: the session then ends by its timeout.
const CLOSE_PATIENCE_MS = 1_000;

export class Connection {
  readonly #manager: ConnectionManager;
  readonly #listener: WireListener;
  readonly #requests = new Requests();
  protected readonly watches = new Watches();
  readonly #frames = new Frames();
  #pingsSentAt: number[] = [];
  #connectingSince: number;
  #takesUpSession = false;
  #closed = false;

  readonly confirmations = new Confirmations();
  /** When the newest connection was asked for. */
  connectSentAt = 0;
  /** When anything was last heard from the server. */
  heardAt = 0;
  /** Why the last connection or attempt failed, in words, for messages. */
  problem: string | null = null;

  /** @param clock what all its times are by: milliseconds, and it counts the machine's sleep, as the servers' clocks do */
  constructor(
    servers: readonly Server[],
    sessionTimeoutMs: number,
    credentials: Credentials | null,
    listener: WireListener,
    protected readonly clock: () => number,
  ) {
    this.#listener = listener;
    this.#connectingSince = clock();
    // The package's own parser knows no IPv6 addresses, so the servers are set past it.
    const manager = new ConnectionManager("unused:1", { sessionTimeout: sessionTimeoutMs, spinDelay: SPIN_DELAY_MS }, (state) =>
      this.#onState(state),
    );
    const onread: OnReadOpts = {
      buffer: READ_INTO,
      callback: (length) => {
        manager.onSocketData(READ_INTO.subarray(0, length));
        return true;
      },
    };
    manager.servers = shuffled(servers).map((server) => ({ ...server, onread }));
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
    return longAt(this.#manager.zxid, 0);
  }

  /** What the server granted, in milliseconds. */
  get sessionTimeoutMs(): number {
    return this.#manager.sessionTimeout;
  }

  /** How long a connection attempt has gone unanswered, in milliseconds; 0 when none is under way. */
  get connectingForMs(): number {
    return this.#manager.state === STATES.CONNECTING ? this.clock() - this.#connectingSince : 0;
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
      const ended = this.send(new Request(TYPE.closeSession, 0), () => undefined);
      this.#manager.state = STATES.CLOSING;
      let patience: NodeJS.Timeout | undefined;
      const silence = new Promise<void>((resolve) => (patience = setTimeout(resolve, CLOSE_PATIENCE_MS)));
      // The connection may end before the answer does come: so does the session, then by its timeout.
      await Promise.race([ended.catch(() => undefined), silence]);
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
    this.#requests.lose();
  }

  /**
   * Sends a request. Those of one turn go out together.
   * @param read takes what is wanted out of the answer, in the turn in which it is read and before any event behind it is
   * @throws WireError when the server refuses, or when the connection is lost before its answer
   */
  protected send<T>(request: Request, read: (answer: Answer) => T): Promise<T> {
    return this.#send(request, read, (code) => {
      throw new WireError(code);
    });
  }

  /** The same, for a znode that need not be there. */
  protected sendOrNull<T>(request: Request, read: (answer: Answer) => T): Promise<T | null> {
    return this.#send<T | null>(request, read, (code) => {
      if (code !== ZK.noNode) throw new WireError(code);
      return null;
    });
  }

  #send<T>(request: Request, read: (answer: Answer) => T, refused: (code: number) => T): Promise<T> {
    const { socket } = this.#manager;
    // Nothing is kept to be sent after a reconnect: whoever asked decides whether it is asked again.
    if (!this.isConnected || socket === undefined) return Promise.reject(new WireError(ZK.connectionLoss));
    // It may have to wait for others to be answered: what counts is when it goes out.
    const stamp = (): Answered => {
      const sentAt = this.clock();
      return { sentAt, confirms: isWrite(request.type) ? this.confirmations.confirmedByWrite(sentAt, this.#pingPauseMs) : null };
    };
    return this.#requests.send(socket, request, stamp, read, refused);
  }

  #onState(state: number): void {
    const manager = this.#manager;
    if (state === STATES.CONNECTED) {
      this.confirmations.connected(this.connectSentAt, !this.#takesUpSession);
      this.heardAt = this.clock();
      this.problem = null;
      this.#listener.connected();
    } else if (state === STATES.SESSION_EXPIRED) {
      this.#listener.expired();
    } else if (state === STATES.AUTHENTICATION_FAILED) {
      this.#listener.authenticationFailed();
    } else if (state === STATES.DISCONNECTED) {
      // The package leaves behind: half a frame, which would garble the next connection; requests it did not send;
      // and a connect timer, which would destroy the next socket.
      this.#frames.clear();
      this.#pingsSentAt = [];
      manager.packetQueue.queue.length = 0;
      if (manager.connectTimeoutHandler !== null) clearTimeout(manager.connectTimeoutHandler);
      this.#connectingSince = this.clock();
      this.watches.disarm();
      this.#requests.lose();
      this.#listener.disconnected();
    }
  }

  /** Steps in front of the package's handlers, where they hide what a session must know or fail on what a server may send. */
  #closeGaps(manager: ConnectionManager): void {
    const original = ConnectionManager.prototype;
    manager.findNextServer = (callback) => {
      original.findNextServer.call(manager, (server) => {
        if (this.#closed) return;
        this.#connectingSince = this.clock();
        callback(server);
      });
    };
    manager.onSocketConnected = () => {
      this.connectSentAt = this.clock();
      this.#takesUpSession = manager.sessionId.some((byte) => byte !== 0);
      original.onSocketConnected.call(manager);
    };
    manager.onSocketError = (error) => {
      this.problem = socketProblem(error);
      original.onSocketError.call(manager, error);
    };
    manager.onSocketTimeout = () => {
      if (this.isConnected) this.#pingsSentAt.push(this.clock());
      original.onSocketTimeout.call(manager);
    };
    // The package handles one frame a call well; more make it copy the rest once for each and call itself that deep.
    manager.onSocketData = (chunk) => {
      const socket = manager.socket;
      try {
        this.#frames.push(chunk, (frame) => {
          this.#onFrame(frame);
          return manager.socket === socket && socket?.destroyed !== true;
        });
      } catch (error) {
        // Nothing behind it on this connection can be trusted.
        this.drop(messageOf(error));
      }
    };
  }

  #onFrame(frame: Buffer): void {
    this.heardAt = this.clock();
    const head = this.#manager.state === STATES.CONNECTING ? null : headOf(frame);
    if (head?.xid === XID.ping) this.#onAnswer(this.#pingsSentAt.shift() ?? 0, null);
    try {
      if (head?.xid === XID.event) this.#onEvent(frame);
      else if (head !== null && head.xid > 0) {
        const { sentAt, confirms } = this.#requests.answered(frame, head);
        this.#onAnswer(sentAt, isFromLeader(head.code) ? confirms : null);
        // What a reconnect tells the next server: that this has been seen.
        if (head.zxid > 0) frame.copy(this.#manager.zxid, 0, 8, 16);
      } else ConnectionManager.prototype.onSocketData.call(this.#manager, Buffer.from(frame));
    } catch (error) {
      throw new Error(`an answer that could not be read: ${messageOf(error)}`, { cause: error });
    }
  }

  #onAnswer(sentAt: number, confirms: number | null): void {
    this.confirmations.answered(sentAt, confirms, this.heardAt, this.#pingPauseMs);
  }

  get #pingPauseMs(): number {
    return this.sessionTimeoutMs * LEADER_PING_PAUSE;
  }

  /** Would a write confirm the session as of later than it is confirmed now? */
  get isWorthConfirming(): boolean {
    return this.confirmations.confirmedByWrite(this.clock(), this.#pingPauseMs) > this.confirmations.confirmedAt;
  }

  /** Tells whoever watches the znode that an event is about. The package is told of none, because it sets no watches. */
  #onEvent(frame: Buffer): void {
    const event = eventIn(frame);
    if (event !== null) this.watches.tell(event.path, event.type);
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
