// gRPC over HTTP/2: how a message is framed, how a stream is cut into messages, and how a status is read.
import type { IncomingHttpHeaders } from "node:http2";
import { Code, GrpcError } from "./errors.js";

// Something between us and the server that may have passed the request on: nobody knows what became of it. As gRPC maps them.
const BY_HTTP: Readonly<Record<string, number>> = {
  "429": Code.unavailable,
  "502": Code.unavailable,
  "503": Code.unavailable,
  "504": Code.unavailable,
};

// Flags and length stand before each message.
const PREFIX_BYTES = 5;

/** Cuts a stream into gRPC's messages. */
export class MessageCutter {
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

/** A message as it goes over the wire. */
export function framed(body: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

/** The status in headers or trailers; `null` in those that have none. */
export function statusOf(headers: IncomingHttpHeaders): GrpcError | "ok" | null {
  const status = headers["grpc-status"];
  if (status === undefined) {
    const http = headers[":status"];
    if (http === undefined || Number(http) === 200) return null;
    return new GrpcError(BY_HTTP[String(http)] ?? Code.unknownMethod, `HTTP status ${String(http)}`);
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
