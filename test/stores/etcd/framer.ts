// etcd's protocol for the fault proxy: HTTP/2 frames. The data of a request are one gRPC message; streams tell requests apart. The clock
// is asked over HTTP/1, on connections of its own that are passed on as they are.
import type { Operation } from "../../../src/conformance/stage.js";
import { MessageReader } from "../../../src/stores/etcd/wire/protobuf.js";
import type { Asked, Direction, Framer, Protocol, Tag } from "../../support/framer.js";

/** What a request asks for, as far as faults are concerned. */
export type EtcdOperation = Operation | "other";

export const ETCD_PROTOCOL: Protocol<EtcdOperation, string> = {
  createFramer: () => new EtcdFramer(),
  nameOf: (operation) => operation,
  sessionId: (session) => session,
};

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const HEAD_BYTES = 9;
const DATA_FRAME = 0;
const GRPC_PREFIX_BYTES = 5;

// The tag of what no fault is about.
const NO_STREAM = 0;

//   unknown → HTTP/2, or HTTP/1, which is not cut into frames
class EtcdFramer implements Framer<EtcdOperation, string> {
  readonly #rest: Record<Direction, Buffer> = { requests: Buffer.alloc(0), replies: Buffer.alloc(0) };
  #isHttp2: boolean | null = null;
  #isGreeted = false;

  split(direction: Direction, chunk: Buffer): readonly Buffer[] {
    let rest = Buffer.concat([this.#rest[direction], chunk]);
    this.#isHttp2 ??= rest.subarray(0, 3).equals(PREFACE.subarray(0, 3));
    if (!this.#isHttp2) return [rest];
    const frames: Buffer[] = [];
    const take = (length: number): void => {
      frames.push(rest.subarray(0, length));
      rest = rest.subarray(length);
    };
    if (direction === "requests" && !this.#isGreeted && rest.length >= PREFACE.length) {
      this.#isGreeted = true;
      take(PREFACE.length);
    }
    const isCut = (): boolean => rest.length >= HEAD_BYTES && rest.length >= HEAD_BYTES + rest.readUIntBE(0, 3);
    while ((direction === "replies" || this.#isGreeted) && isCut()) take(HEAD_BYTES + rest.readUIntBE(0, 3));
    this.#rest[direction] = rest;
    return frames;
  }

  read(request: Buffer): Asked<EtcdOperation> {
    const operation = this.#messageIn(request) === null ? "other" : operationIn(request.subarray(HEAD_BYTES + GRPC_PREFIX_BYTES));
    return { operation, tag: operation === "other" ? NO_STREAM : streamOf(request) };
  }

  /** A claim's id, and a document's name, is part of its keys. */
  isAbout(request: Buffer, claim: string): boolean {
    return request.includes(encodeURIComponent(claim));
  }

  /** The message of a reply comes between its headers and its trailers. */
  tagAnswered(reply: Buffer): Tag | null {
    return this.#messageIn(reply) === null ? null : streamOf(reply);
  }

  sessionIn(): null {
    return null;
  }

  asUnknown(request: Buffer): Buffer {
    return request;
  }

  #messageIn(frame: Buffer): Buffer | null {
    const isData = this.#isHttp2 === true && frame[3] === DATA_FRAME && frame.length > HEAD_BYTES + GRPC_PREFIX_BYTES;
    return isData && !frame.subarray(0, 3).equals(PREFACE.subarray(0, 3)) ? frame : null;
  }
}

function streamOf(frame: Buffer): number {
  return frame.readUInt32BE(5) & 0x7fffffff;
}

/** What a transaction is for, by what it finds and leaves. */
function operationIn(message: Buffer): EtcdOperation {
  try {
    return operationOfTransaction(new MessageReader(message));
  } catch {
    return "other"; // No transaction.
  }
}

const NOT_EQUAL = 3;
const LEASE = 4;

function operationOfTransaction(transaction: MessageReader): EtcdOperation {
  const settles = transaction.messages(1).some((compare) => {
    return compare.integer(2) === LEASE && compare.integer(1) === NOT_EQUAL && compare.text(3).endsWith("/place");
  });
  for (const operation of transaction.messages(2)) {
    const put = operation.message(2);
    const removed = operation.message(3).text(1);
    if (/\/documents\//.test(put.text(1) + removed)) return "document";
    if (/\/locks\/[^/]+\/[^/]+\/$/.test(removed)) return settles ? "other" : "leave";
    if (!put.text(1).endsWith("/place")) continue;
    if (put.identifier(3) !== "0") return "join";
    if (settles) return "settle";
    return put.text(2).includes('"token":true') ? "adopt" : "update";
  }
  return "other";
}
