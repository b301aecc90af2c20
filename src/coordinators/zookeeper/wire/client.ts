// The connection of node-zookeeper-client, and everything that it is made to do differently. The package keeps the handshake, the
// session's id and password, pings, and connecting again after a break. This file has the sockets opened (access.ts) and clients logged in
// (sasl.ts), cuts what arrives into frames, and tells a listener what the package keeps to itself. No other file knows the package.
import type { Socket } from "node:net";
import ConnectionManager from "node-zookeeper-client/lib/ConnectionManager.js";
import { type HoldlineError, messageOf } from "../../../locks/errors.js";
import {
  type Access,
  hungUp,
  isTlsAlert,
  openSocket,
  type ReadLogin,
  readLogin,
  refusalOf,
  type Server,
  speaksTls,
} from "./access.js";
import { Frames, longAt } from "./jute.js";
import { isSaslAnswer, SaslLogin } from "./sasl.js";

export const { STATES } = ConnectionManager;

export interface ClientListener {
  /** @param state one of {@link STATES}. Connected is a client that is also logged in */
  stateChanged(state: number): void;
  /** A connection to the next server is being opened. */
  connecting(): void;
  /** The server is asked for a session. @param isNew whether for a new one, and not to take up the present one */
  sessionRequested(isNew: boolean): void;
  pingSent(): void;
  /**
   * The connection, or the attempt to open one, has failed.
   * @param refusal why no further attempt at this server can succeed until something is changed; `null` where one may
   */
  failed(problem: string, refusal: HoldlineError | null): void;
  /** @returns whether the frame was the listener's; the package reads all others */
  frame(frame: Buffer): boolean;
}

// A client that has tried all servers pauses for a random part of this before the next round: short against the session timeout, long
// enough that a fleet does not hammer an ensemble that is starting.
const ROUND_PAUSE_MS = 300;

// A server that hangs up may do so without reading what it was sent.
const HANG_UPS: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE"]);

//   the package's states, with one inside its CONNECTED: a session is there → (SASL) → ready
export class Client extends ConnectionManager {
  readonly #servers: readonly Server[];
  readonly #access: Access;
  readonly #listener: ClientListener;
  readonly #frames = new Frames();
  #server: Server | null = null;
  #login: ReadLogin | null = null;
  /** Under way. */
  #sasl: SaslLogin | null = null;
  #isReady = false;
  /** Whether the present connection is one that requests can be sent through. */
  #isOpen = false;
  /** Whether it is already known why the present connection ends. */
  #isExplained = false;
  #next = 0;
  /** How many servers this client has tried since it was last connected, or last paused. */
  #tried = 0;
  #pause: NodeJS.Timeout | undefined;
  #isAbandoned = false;

  constructor(servers: readonly Server[], sessionTimeoutMs: number, access: Access, listener: ClientListener) {
    // The package parses no IPv6 addresses, so it gets a placeholder: `connect` goes by the list below.
    super("unused:1", { sessionTimeout: sessionTimeoutMs, spinDelay: 0 }, (state) => this.#onState(state));
    this.#servers = shuffled(servers);
    this.#access = access;
    this.#listener = listener;
  }

  /** Whether requests can be sent: it has a session at a server, and is logged in there. */
  get isConnected(): boolean {
    return this.state === STATES.CONNECTED && this.#isReady;
  }

  get isConnecting(): boolean {
    return this.state === STATES.CONNECTING || (this.state === STATES.CONNECTED && !this.#isReady);
  }

  /** The newest transaction that a server has told this client of. A server that is behind it refuses the next connection. */
  get lastZxid(): number {
    return longAt(this.zxid, 0);
  }

  /** Notes the zxid in the head of an answer. */
  sawZxidOf(frame: Buffer): void {
    frame.copy(this.zxid, 0, 8, 16);
  }

  /** Drops the present connection. The next server is tried, unless the client is closing. */
  hangUp(): void {
    this.#isExplained = true;
    this.socket?.destroy();
  }

  /** From now on a lost connection is not followed by another. */
  beginClosing(): void {
    this.setState(STATES.CLOSING);
  }

  /** Ends the connection for good, without a word to the server. */
  abandon(): void {
    this.#isAbandoned = true;
    clearTimeout(this.#pause);
    this.beginClosing();
    this.hangUp();
  }

  /**
   * The package calls this again after each break. Its own version opens plain TCP only, and its connect timer outlives the socket and
   * destroys the next one. Here the session's watchdog drops a connection that nobody answers.
   */
  override connect(): void {
    this.setState(STATES.CONNECTING);
    if (this.#tried < this.#servers.length) {
      this.#tried += 1;
      process.nextTick(() => this.#connectToNext());
      return;
    }
    this.#tried = 0;
    this.#pause = setTimeout(() => this.#connectToNext(), Math.random() * ROUND_PAUSE_MS);
  }

  #connectToNext(): void {
    if (this.#isAbandoned) return;
    const server = this.#servers[this.#next] as Server;
    this.#next = (this.#next + 1) % this.#servers.length;
    this.#server = server;
    this.#isOpen = false;
    this.#isExplained = false;
    this.#listener.connecting();
    let socket: Socket;
    try {
      this.#login = readLogin(this.#access);
      socket = openSocket(
        server,
        this.#access,
        () => this.onSocketConnected(),
        (chunk) => this.onSocketData(chunk),
      );
    } catch (error) {
      // A file cannot be read or used. It may be there, or right, at the next attempt.
      this.onSocketError(error as Error);
      this.onSocketClosed(true);
      return;
    }
    this.socket = socket;
    socket.setNoDelay();
    socket.on("drain", () => this.onSocketDrain());
    socket.on("close", (hadError) => this.onSocketClosed(hadError));
    socket.on("error", (error) => this.onSocketError(error));
  }

  override onSocketConnected(): void {
    this.#isOpen = true;
    this.#listener.sessionRequested(this.getSessionId().every((byte) => byte === 0));
    this.credentials.length = 0;
    if (this.#login?.mechanism === "digest") this.addAuthInfo("digest", Buffer.from(`${this.#login.user}:${this.#login.password}`));
    super.onSocketConnected();
  }

  override onSocketError(error: Error): void {
    const isHangUp = HANG_UPS.has((error as NodeJS.ErrnoException).code ?? "") && this.isConnecting;
    this.#isExplained ||= !isHangUp;
    if (!isHangUp) this.#fail(problemOf(error), refusalOf(error, this.#server as Server, this.#access));
    super.onSocketError(error);
  }

  override onSocketTimeout(): void {
    // Pings go out between requests, and a server that is silent in the middle of a login is no use.
    if (this.isConnecting) return this.hangUp();
    if (this.isConnected) this.#listener.pingSent();
    super.onSocketTimeout();
  }

  override onSocketClosed(hadError: boolean): void {
    if (!this.#isExplained && this.isConnecting) this.#fail(hungUp(this.#server as Server, this.#access, this.#isOpen));
    // The package would send what it still has queued to the next server; and half a frame would garble the next connection.
    while (this.packetQueue.shift() !== undefined);
    this.#frames.clear();
    super.onSocketClosed(hadError);
  }

  #onState(state: number): void {
    this.#isReady = false;
    this.#sasl = null;
    if (state !== STATES.CONNECTED) return this.#listener.stateChanged(state);
    if (this.#login?.mechanism !== "sasl") return this.#ready();
    this.#sasl = new SaslLogin(this.#login);
    this.socket?.write(this.#sasl.begin());
  }

  #ready(): void {
    this.#isReady = true;
    this.#tried = 0;
    this.#listener.stateChanged(STATES.CONNECTED);
  }

  #onSaslAnswer(sasl: SaslLogin, frame: Buffer): void {
    let next: Buffer | null;
    try {
      next = sasl.onAnswer(frame);
    } catch (error) {
      this.#fail(messageOf(error), refusalOf(error, this.#server as Server, this.#access));
      this.hangUp();
      return;
    }
    if (next !== null) return void this.socket?.write(next);
    this.#sasl = null;
    this.#ready();
  }

  #fail(problem: string, refusal: HoldlineError | null = null): void {
    this.#listener.failed(refusal?.message ?? problem, refusal);
  }

  // The package handles one frame a call well. Of several it copies the rest once for each, and calls itself that deep.
  override onSocketData(chunk: Buffer): void {
    const { socket } = this;
    if (this.isConnecting && this.#access.tls === null && isTlsAlert(chunk)) {
      const refusal = speaksTls(this.#server as Server);
      this.#fail(refusal.message, refusal);
      return this.hangUp();
    }
    try {
      this.#frames.push(chunk, (frame) => {
        this.#onFrame(frame);
        return this.socket === socket && socket?.destroyed !== true;
      });
    } catch (error) {
      // Nothing behind it on this connection can be trusted.
      this.#fail(messageOf(error));
      this.hangUp();
    }
  }

  #onFrame(frame: Buffer): void {
    if (this.#sasl !== null && isSaslAnswer(frame)) return this.#onSaslAnswer(this.#sasl, frame);
    try {
      if (!this.#listener.frame(frame)) super.onSocketData(Buffer.from(frame));
    } catch (error) {
      throw new Error(`an answer that could not be read: ${messageOf(error)}`, { cause: error });
    }
  }
}

// Where a name has several addresses, the error has no message of its own.
function problemOf(error: Error & { readonly code?: string; readonly errors?: readonly Error[] }): string {
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
