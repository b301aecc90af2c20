// One connection to one member: gRPC's calls over HTTP/2, each a stream of its own, the token that they bear, and the member's clock.
//
//   open → (an error, silence, the server's goodbye, retire) gone
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from "node:http2";
import { messageOf } from "../../../locks/errors.js";
import { ReplyLostError } from "../../../queue/store.js";
import { MemberClock } from "./clock.js";
import { GrpcError, isMembersFault, isStaleToken, isWithoutUsers, translate } from "./errors.js";
import { decodeToken, encodeCredentials } from "./messages.js";
import type { Endpoint } from "./endpoint.js";

// Flags and length stand before each message.
const PREFIX_BYTES = 5;

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
    socket.on("error", () => undefined); // The session tells of it.
    this.#session.once("connect", () => this.#session.setLocalWindowSize(WINDOW_BYTES));
    this.#session.on("error", (error) => this.retire(messageOf(error)));
    this.#session.on("goaway", () => this.retire("the member says goodbye"));
    this.#session.on("close", () => this.retire("the connection was closed"));
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

  /** Hangs up: what is under way gets no reply. */
  retire(why: string): void {
    if (this.#why !== null) return;
    this.#why = why;
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
      const failed = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      this.#session.once("error", failed);
      this.#session.once("close", () => failed(new ReplyLostError(`${this.endpoint.name}: the connection was closed`)));
      this.#session.once("remoteSettings", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** Cuts a stream into gRPC's messages. */
class MessageCutter {
  readonly #onMessage: (message: Buffer) => void;
  readonly #chunks: Buffer[] = [];
  #length = 0;

  constructor(onMessage: (message: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= PREFIX_BYTES) {
      const head = this.#chunks[0] as Buffer;
      const whole = head.length >= PREFIX_BYTES ? head : Buffer.concat(this.#chunks);
      const end = PREFIX_BYTES + whole.readUInt32BE(1);
      if (this.#length < end) return;
      const bytes = this.#chunks.length === 1 ? head : Buffer.concat(this.#chunks);
      this.#chunks.length = 0;
      this.#length -= end;
      if (this.#length > 0) this.#chunks.push(bytes.subarray(end));
      this.#onMessage(bytes.subarray(PREFIX_BYTES, end));
    }
  }
}

function framed(body: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

/** The status in headers or trailers; `null` in those that have none. */
function statusOf(headers: IncomingHttpHeaders): GrpcError | "ok" | null {
  const status = headers["grpc-status"];
  if (status === undefined) {
    const http = headers[":status"];
    return http === undefined || Number(http) === 200 ? null : new GrpcError(12, `HTTP status ${String(http)}`);
  }
  return status === "0" ? "ok" : new GrpcError(Number(status), unescaped(String(headers["grpc-message"] ?? "")));
}

/** gRPC percent-encodes what is not ASCII. */
function unescaped(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message; // Somebody else's words, with a plain "%".
  }
}
