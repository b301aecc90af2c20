// One connection to one member: gRPC's calls over HTTP/2, each a stream of its own, the token that they bear, and the member's clock.
//
//   open → (an error, silence, the server's goodbye, retire) gone
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from "node:http2";
import { messageOf } from "../../../locks/errors.js";
import { ReplyLostError } from "../../../queue/store.js";
import { MemberClock } from "./clock.js";
import { framed, MessageCutter, statusOf } from "./grpc.js";
import { GrpcError, isMembersFault, isStaleToken, isWithoutUsers, translate } from "./errors.js";
import { decodeToken, encodeCredentials } from "./messages.js";
import type { Endpoint } from "./endpoint.js";

// Long queues and histories come without a pause for each 64 KB.
const WINDOW_BYTES = 4 * 1024 * 1024;
const MOST_MEMORY_MB = 256;

// A member that lets a ping wait for so long is frozen. etcd hangs up on clients that ping more often than every 5 s.
const PING_EVERY_MS = 10_000;

export interface Credentials {
  readonly user: string;
  /** Read anew for each token. */
  password(): string;
}

/** How long a member may leave something unanswered. */
export interface Patience {
  /** What it begins with, when a connection is made. */
  readonly greetingMs: number;
  /** A request; Infinity where there is no other member to ask. */
  readonly replyMs: number;
}

/** A stream of replies, until it is closed. */
export interface ReplyStream {
  close(): void;
}

export class Link {
  readonly endpoint: Endpoint;
  readonly clock: MemberClock;
  /** The leader's term as the latest reply that needed a majority has shown it; `null` before the first. See sessions.ts. */
  term: number | null = null;
  readonly #session: ClientHttp2Session;
  readonly #credentials: Credentials | null;
  readonly #patience: Patience;
  #token: string | null = null;
  /** Whether the cluster has users. */
  hasUsers = true;
  #why: string | null = null;
  #isGreeted = false;
  #onFailure: (error: Error) => void = () => undefined;
  #pinging: NodeJS.Timeout | null = null;

  private constructor(endpoint: Endpoint, credentials: Credentials | null, patience: Patience) {
    this.endpoint = endpoint;
    this.clock = new MemberClock(endpoint);
    this.#credentials = credentials;
    this.#patience = patience;
    this.#session = connect(endpoint.origin, {
      ...endpoint.tls(),
      maxSessionMemory: MOST_MEMORY_MB,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    });
    const { socket } = this.#session;
    // What a server says of this client's certificate comes when the connection seems to stand, and the session does not tell of it.
    socket.on("error", (error: Error) => this.#failed(error));
    this.#session.once("connect", () => this.#session.setLocalWindowSize(WINDOW_BYTES));
    this.#session.on("error", (error: Error) => this.#failed(error));
    this.#session.on("goaway", () => this.retire("the member says goodbye"));
    this.#session.on("close", () => this.#closed());
  }

  /** Connects, and gets a token where the URL names a user. @throws what the connection failed with, as it comes */
  static async open(endpoint: Endpoint, credentials: Credentials | null, patience: Patience): Promise<Link> {
    const link = new Link(endpoint, credentials, patience);
    try {
      await link.#greeted();
      await Promise.all([link.authenticate(), link.clock.measure()]);
      return link;
    } catch (error) {
      link.retire(messageOf(error));
      throw translate(error, endpoint.name);
    }
  }

  get isGone(): boolean {
    return this.#why !== null;
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === "ECONNRESET") return this.#closed();
    this.#onFailure(error);
    this.retire(messageOf(error));
  }

  #closed(): void {
    const { isSecure } = this.endpoint;
    const why = isSecure ? "does it speak TLS?" : "does it want TLS, and so a URL with etcd+tls://?";
    this.retire(this.#isGreeted ? "the connection was closed" : `the connection was closed at once: ${why}`);
  }

  /** Hangs up: what is under way gets no reply. */
  retire(why: string): void {
    if (this.#why !== null) return;
    this.#why = why;
    this.#onFailure(this.#lost());
    if (this.#pinging !== null) clearInterval(this.#pinging);
    this.clock.close();
    this.#session.destroy();
  }

  /** Asks for one thing. @returns the reply's message */
  async call(method: string, body: Buffer): Promise<Buffer> {
    try {
      return await this.#withToken(() => this.#ask(method, body));
    } catch (error) {
      if (isMembersFault(error)) this.retire(messageOf(error));
      throw translate(error, this.endpoint.name);
    }
  }

  /**
   * Asks for a stream of replies.
   * @param onEnd called once, unless it was closed from here
   */
  stream(method: string, body: Buffer, onReply: (reply: Buffer) => void, onEnd: (error: Error) => void): ReplyStream {
    this.#ping();
    let isOver = false;
    const over = (error: Error): void => {
      if (isOver) return;
      isOver = true;
      onEnd(translate(error, this.endpoint.name));
    };
    const stream = this.#send(method, onReply, over, () => over(new GrpcError(14, "the member has ended the stream")));
    stream?.write(framed(body));
    return {
      close: () => {
        isOver = true;
        stream?.close(constants.NGHTTP2_CANCEL);
      },
    };
  }

  /** Gets a new token, where the URL names a user. */
  async authenticate(): Promise<void> {
    if (this.#credentials === null) return;
    const credentials = encodeCredentials(this.#credentials.user, this.#credentials.password());
    this.#token = null;
    try {
      this.#token = decodeToken(await this.#ask("Auth/Authenticate", credentials));
      this.hasUsers = true;
    } catch (error) {
      if (!isWithoutUsers(error)) throw error;
      this.hasUsers = false;
    }
  }

  async #withToken<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (this.#credentials === null || !isStaleToken(error)) throw error;
      await this.authenticate();
      return ask();
    }
  }

  #ask(method: string, body: Buffer): Promise<Buffer> {
    const { replyMs } = this.#patience;
    const retire = (): void => this.retire(`no reply within ${replyMs} ms`);
    const timer = Number.isFinite(replyMs) ? setTimeout(retire, replyMs) : null;
    const answer = new Promise<Buffer>((resolve, reject) => {
      let reply: Buffer | null = null;
      const stream = this.#send(
        method,
        (message) => (reply ??= message),
        reject,
        () => (reply === null ? reject(new GrpcError(13, "a reply without a message")) : resolve(reply)),
      );
      stream?.end(framed(body));
    });
    return answer.finally(() => {
      if (timer !== null) clearTimeout(timer);
    });
  }

  /** @param onEnd called with the status OK, after all replies */
  #send(
    method: string,
    onReply: (reply: Buffer) => void,
    onError: (error: Error) => void,
    onEnd: () => void,
  ): ClientHttp2Stream | null {
    if (this.#why !== null || this.#session.destroyed) {
      onError(this.#lost());
      return null;
    }
    const stream = this.#session.request(
      {
        ":method": "POST",
        ":path": `/etcdserverpb.${method}`,
        "content-type": "application/grpc",
        te: "trailers",
        // A member that has no leader says so instead of waiting for one.
        hasleader: "true",
        ...(this.#token === null ? {} : { authorization: this.#token }),
      },
      { endStream: false },
    );
    const messages = new MessageCutter(onReply);
    let status: GrpcError | "ok" | null = null;
    const read = (headers: IncomingHttpHeaders): void => {
      status ??= statusOf(headers);
    };
    stream.on("response", read);
    stream.on("trailers", read);
    stream.on("data", (chunk: Buffer) => messages.push(chunk));
    stream.on("error", () => undefined); // The close that follows tells of it.
    stream.on("close", () => {
      if (status === "ok") onEnd();
      else onError(status ?? this.#lost());
    });
    return stream;
  }

  #lost(): ReplyLostError {
    return new ReplyLostError(`${this.endpoint.name}: ${this.#why ?? "the connection was lost before a reply came"}`);
  }

  /** Nobody may ask anything while a stream waits: silence is found by pinging. */
  #ping(): void {
    let isAnswered = true;
    this.#pinging ??= setInterval(() => {
      if (!isAnswered) return this.retire(`no answer to a ping within ${PING_EVERY_MS} ms`);
      isAnswered = false;
      this.#session.ping(() => (isAnswered = true));
    }, PING_EVERY_MS).unref();
  }

  /** A connection that is made may still be answered by nobody: a server that lives begins with its settings. */
  #greeted(): Promise<void> {
    const { greetingMs } = this.#patience;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new ReplyLostError(`${this.endpoint.name}: no answer within ${greetingMs} ms`)),
        greetingMs,
      );
      this.#onFailure = (error) => {
        clearTimeout(timer);
        reject(error);
      };
      this.#session.once("remoteSettings", () => {
        this.#isGreeted = true;
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
