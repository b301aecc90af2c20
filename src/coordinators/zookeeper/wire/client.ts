// The connection of node-zookeeper-client, and everything that it is made to do differently. The package keeps the handshake, the
// session's id and password, pings, and connecting again after a break. This file opens the sockets, cuts what arrives into frames,
// and tells a listener what the package keeps to itself. No other file knows the package.
import { connect, type Socket } from "node:net";
import ConnectionManager from "node-zookeeper-client/lib/ConnectionManager.js";
import { messageOf } from "../../../locks/errors.js";
import { Frames, longAt } from "./jute.js";

export interface Server {
  readonly host: string;
  readonly port: number;
}

/** `user:password` of ZooKeeper's digest scheme. */
export type Credentials = string;

export const { STATES } = ConnectionManager;

export interface ClientListener {
  /** @param state one of {@link STATES} */
  stateChanged(state: number): void;
  /** A connection to the next server is being opened. */
  connecting(): void;
  /** The server is asked for a session. @param isNew whether for a new one, and not to take up the present one */
  sessionRequested(isNew: boolean): void;
  pingSent(): void;
  /** The connection, or the attempt to open one, has failed. */
  failed(problem: string): void;
  /** @returns whether the frame was the listener's; the package reads all others */
  frame(frame: Buffer): boolean;
}

// A client that has tried all servers pauses for a random part of this before the next round: short against the session timeout, long
// enough that a fleet does not hammer an ensemble that is starting.
const ROUND_PAUSE_MS = 300;

// All connections of the process read into this buffer, one at a time. Code that keeps a part of it copies that part.
const READ_INTO = Buffer.allocUnsafeSlow(65_536);

export class Client extends ConnectionManager {
  readonly #servers: readonly Server[];
  readonly #listener: ClientListener;
  readonly #frames = new Frames();
  #next = 0;
  /** How many servers this client has tried since it was last connected, or last paused. */
  #tried = 0;
  #pause: NodeJS.Timeout | undefined;
  #isAbandoned = false;

  constructor(servers: readonly Server[], sessionTimeoutMs: number, credentials: Credentials | null, listener: ClientListener) {
    // The package parses no IPv6 addresses, so it gets a placeholder: `connect` goes by the list below.
    super("unused:1", { sessionTimeout: sessionTimeoutMs, spinDelay: 0 }, (state) => {
      if (state === STATES.CONNECTED) this.#tried = 0;
      listener.stateChanged(state);
    });
    this.#servers = shuffled(servers);
    this.#listener = listener;
    if (credentials !== null) this.addAuthInfo("digest", Buffer.from(credentials));
  }

  get isConnected(): boolean {
    return this.state === STATES.CONNECTED;
  }

  get isConnecting(): boolean {
    return this.state === STATES.CONNECTING;
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
    this.#listener.connecting();
    const socket = this.#openSocket(server);
    this.socket = socket;
    socket.setNoDelay();
    socket.on("connect", () => this.onSocketConnected());
    socket.on("drain", () => this.onSocketDrain());
    socket.on("close", (hadError) => this.onSocketClosed(hadError));
    socket.on("error", (error) => this.onSocketError(error));
  }

  #openSocket(server: Server): Socket {
    const callback = (length: number): boolean => {
      this.onSocketData(READ_INTO.subarray(0, length));
      return true;
    };
    return connect({ ...server, onread: { buffer: READ_INTO, callback } });
  }

  override onSocketConnected(): void {
    this.#listener.sessionRequested(this.getSessionId().every((byte) => byte === 0));
    super.onSocketConnected();
  }

  override onSocketError(error: Error): void {
    this.#listener.failed(problemOf(error));
    super.onSocketError(error);
  }

  override onSocketTimeout(): void {
    if (this.isConnected) this.#listener.pingSent();
    super.onSocketTimeout();
  }

  override onSocketClosed(hadError: boolean): void {
    // The package would send what it still has queued to the next server; and half a frame would garble the next connection.
    while (this.packetQueue.shift() !== undefined);
    this.#frames.clear();
    super.onSocketClosed(hadError);
  }

  // The package handles one frame a call well. Of several it copies the rest once for each, and calls itself that deep.
  override onSocketData(chunk: Buffer): void {
    const { socket } = this;
    try {
      this.#frames.push(chunk, (frame) => {
        this.#onFrame(frame);
        return this.socket === socket && socket?.destroyed !== true;
      });
    } catch (error) {
      // Nothing behind it on this connection can be trusted.
      this.#listener.failed(messageOf(error));
      this.hangUp();
    }
  }

  #onFrame(frame: Buffer): void {
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
