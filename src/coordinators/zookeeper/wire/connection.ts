// One connection at a time to a ZooKeeper ensemble, under one session id: requests out, answers and watch events in, and the times
// that a session judges itself by. client.ts opens the sockets; session.ts decides when the session counts as lost.
//
//   connecting → connected → connecting (another server, the same session id) → …
//        ↓ the server says that the session is over   ↓ close(), abandon()
//      expired                                       closed
import { UPTIME_ERROR_MS } from "../../../uptime.js";
import type { HoldlineError } from "../../../locks/errors.js";
import { type Access, type Security, securityOf, type Server } from "./access.js";
import { Client, STATES } from "./client.js";
import { Confirmations, LEADER_PING_PAUSE } from "./confirmations.js";
import { type Answer, Request } from "./jute.js";
import { parseEvent, parseHead } from "./messages.js";
import { type Answered, Pipeline } from "./pipeline.js";
import { isFromLeader, isWrite, TYPE, WireError, XID, ZK } from "./protocol.js";
import { Watches } from "./watches.js";

/** What a connection tells its session. */
export interface ConnectionListener {
  /** Connected, for the first time or again, under the same session. */
  connected(): void;
  disconnected(): void;
  expired(): void;
  authenticationFailed(): void;
}

// How long a graceful close waits for the server's answer before it hangs up. The session then ends by its timeout.
const CLOSE_PATIENCE_MS = 1_000;

export class Connection {
  readonly #client: Client;
  readonly #listener: ConnectionListener;
  /** How many there are. */
  readonly #servers: number;
  readonly #pipeline = new Pipeline();
  protected readonly watches = new Watches();
  #pingsSentAt: number[] = [];
  #connectingSince: number;
  #isNewSession = true;
  #isClosed = false;

  readonly confirmations = new Confirmations();
  /** When the newest connection asked its server for the session. */
  connectSentAt = 0;
  /** When the server last sent anything. */
  heardAt = 0;
  /** Why the last connection or attempt failed, in words, for messages. */
  problem: string | null = null;
  /** Why no server lets this client in, where each of them has refused it since one last did; `null` where one may. */
  refusal: HoldlineError | null = null;
  #refusals = 0;

  /** @param clock gives all times here, in milliseconds; it must count the machine's sleep, as the servers' clocks do */
  constructor(
    servers: readonly Server[],
    sessionTimeoutMs: number,
    access: Access,
    listener: ConnectionListener,
    protected readonly clock: () => number,
  ) {
    this.#listener = listener;
    this.#servers = servers.length;
    this.#connectingSince = clock();
    this.#client = new Client(servers, sessionTimeoutMs, access, {
      stateChanged: (state) => this.#onState(state),
      connecting: () => void (this.#connectingSince = this.clock()),
      sessionRequested: (isNew) => {
        this.connectSentAt = this.clock();
        this.#isNewSession = isNew;
      },
      pingSent: () => void this.#pingsSentAt.push(this.clock()),
      failed: (problem, refusal) => {
        this.problem = problem;
        this.#noteRefusal(refusal);
      },
      frame: (frame) => this.#onFrame(frame),
    });
  }

  connect(): void {
    this.#client.connect();
  }

  get isConnected(): boolean {
    return this.#client.isConnected;
  }

  /** The session's id in hexadecimal; all zeros before the first connection. */
  get sessionId(): string {
    return this.#client.getSessionId().toString("hex");
  }

  /** What protects the present connection; `null` for one in the clear. */
  get security(): Security | null {
    return securityOf(this.#client.socket);
  }

  /** The newest transaction that the server had carried out when it last answered. */
  get lastZxid(): number {
    return this.#client.lastZxid;
  }

  /** The timeout that the server has granted, in milliseconds. */
  get sessionTimeoutMs(): number {
    return this.#client.getSessionTimeout();
  }

  /** How long a connection attempt has gone unanswered, in milliseconds; 0 when none is under way. */
  get connectingForMs(): number {
    return this.#client.isConnecting ? this.clock() - this.#connectingSince : 0;
  }

  /** Hangs up on a server that does not answer, so that the next one is tried. */
  drop(reason: string): void {
    this.problem = reason;
    this.#noteRefusal(null);
    this.#client.hangUp();
  }

  /** Asks the server to end the session; resolves when it has, or when there is no hope of an answer. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (this.isConnected) {
      const ended = this.send(new Request(TYPE.closeSession, 0), () => undefined);
      this.#client.beginClosing();
      let patience: NodeJS.Timeout | undefined;
      const silence = new Promise<void>((resolve) => (patience = setTimeout(resolve, CLOSE_PATIENCE_MS)));
      // The connection may break before the answer comes. Then the session ends by its timeout.
      await Promise.race([ended.catch(() => undefined), silence]);
      clearTimeout(patience);
    }
    this.abandon();
  }

  /** Hangs up for good and tells the server nothing. Everything outstanding fails. */
  abandon(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#client.abandon();
    this.#pipeline.failAll();
  }

  /**
   * Sends a request. Those of one turn of the event loop go out together.
   * @param parse reads the answer, in the turn in which it arrives and before any event behind it
   * @throws WireError when the server refuses, or when the connection is lost before its answer
   */
  protected send<T>(request: Request, parse: (answer: Answer) => T): Promise<T> {
    return this.#send(request, parse, (code) => {
      throw new WireError(code);
    });
  }

  /** The same for a znode that may be missing: then it gives `null`. */
  protected sendOrNull<T>(request: Request, parse: (answer: Answer) => T): Promise<T | null> {
    return this.#send<T | null>(request, parse, (code) => {
      if (code !== ZK.noNode) throw new WireError(code);
      return null;
    });
  }

  #send<T>(request: Request, parse: (answer: Answer) => T, onRefusal: (code: number) => T): Promise<T> {
    const { socket } = this.#client;
    // Nothing is kept to be sent after a reconnect: the caller decides whether to ask again.
    if (!this.isConnected || socket === undefined) return Promise.reject(new WireError(ZK.connectionLoss));
    // The request may wait for others to be answered. What counts is when it goes out.
    const stamp = (): Answered => {
      const sentAt = this.clock();
      return { sentAt, confirms: isWrite(request.type) ? this.confirmations.confirmedByWrite(sentAt, this.#pingPauseMs) : null };
    };
    return this.#pipeline.send(socket, request, stamp, parse, onRefusal);
  }

  #noteRefusal(refusal: HoldlineError | null): void {
    this.#refusals = refusal === null ? 0 : this.#refusals + 1;
    this.refusal = this.#refusals >= this.#servers ? refusal : null;
  }

  #onState(state: number): void {
    if (state === STATES.CONNECTED) {
      this.confirmations.connected(this.connectSentAt, this.#isNewSession);
      this.heardAt = this.clock();
      this.problem = null;
      this.#noteRefusal(null);
      this.#listener.connected();
    } else if (state === STATES.SESSION_EXPIRED) {
      this.#listener.expired();
    } else if (state === STATES.AUTHENTICATION_FAILED) {
      this.#listener.authenticationFailed();
    } else if (state === STATES.DISCONNECTED) {
      this.#pingsSentAt = [];
      this.#connectingSince = this.clock();
      this.watches.disarm();
      this.#pipeline.failAll();
      this.#listener.disconnected();
    }
  }

  /** Takes answers to requests and watch events; leaves the handshake, pings and credentials to the package. */
  #onFrame(frame: Buffer): boolean {
    this.heardAt = this.clock();
    const head = this.#client.isConnecting ? null : parseHead(frame);
    if (head === null) return false;
    if (head.xid === XID.ping) {
      this.#onAnswer(this.#pingsSentAt.shift() ?? 0, null);
      return false;
    }
    if (head.xid === XID.event) {
      const event = parseEvent(frame);
      if (event !== null) this.watches.tell(event.path, event.type);
      return true;
    }
    if (head.xid <= 0) return false;
    const { sentAt, confirms } = this.#pipeline.onAnswer(frame, head);
    this.#onAnswer(sentAt, isFromLeader(head.code) ? confirms : null);
    // The next handshake carries it: a server that has not seen as much refuses the session.
    if (head.zxid > 0) this.#client.sawZxidOf(frame);
    return true;
  }

  #onAnswer(sentAt: number, confirms: number | null): void {
    this.confirmations.answered(sentAt, confirms, this.heardAt, this.#pingPauseMs);
  }

  get #pingPauseMs(): number {
    return this.sessionTimeoutMs * LEADER_PING_PAUSE + UPTIME_ERROR_MS;
  }

  /** Whether a write would confirm the session as of later than it is confirmed now. */
  get isWorthConfirming(): boolean {
    return this.confirmations.confirmedByWrite(this.clock(), this.#pingPauseMs) > this.confirmations.confirmedAt;
  }
}
