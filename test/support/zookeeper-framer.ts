// ZooKeeper's protocol for the fault proxy: frames with their length in front, replies by number, a handshake without a header.
import type { Asked, Direction, Framer, Protocol, Tag } from "./framer.js";
import { FrameReader, Opcode, opcodeName, readSession, type SessionCredentials, toWire } from "./zookeeper-frames.js";

export const ZOOKEEPER: Protocol<number, SessionCredentials> = {
  createFramer: () => new ZooKeeperFramer(),
  nameOf: opcodeName,
  sessionId: ({ id }) => id.toString(16),
};

// Clients count from 1, and use -1 to -8 for what is not an ordinary request.
const HANDSHAKE_XID = -100;

// The number of what a watch tells, which answers no request.
const NOTIFICATION_XID = -1;

// No server knows it: it says so, and hangs up, as an old one does with what came after its time.
const NO_OPCODE = 999;

const LENGTH_BYTES = 4;

//   each direction: handshake → ordinary frames
class ZooKeeperFramer implements Framer<number, SessionCredentials> {
  readonly #readers: Record<Direction, FrameReader> = { requests: new FrameReader(), replies: new FrameReader() };
  #saidHello = false;
  #welcome: Buffer | null = null;

  split(direction: Direction, chunk: Buffer): readonly Buffer[] {
    return this.#readers[direction].push(chunk).map(toWire);
  }

  read(request: Buffer): Asked<number> {
    const isHandshake = !this.#saidHello || request.length < LENGTH_BYTES + 8;
    this.#saidHello = true;
    if (isHandshake) return { operation: Opcode.createSession, tag: HANDSHAKE_XID };
    return { tag: request.readInt32BE(LENGTH_BYTES), operation: request.readInt32BE(LENGTH_BYTES + 4) };
  }

  /** A claim's writes all name it: its id is part of its nodes' names. */
  isAbout(request: Buffer, claim: string): boolean {
    return request.includes(claim);
  }

  tagAnswered(reply: Buffer): Tag | null {
    this.#welcome ??= reply;
    if (this.#welcome === reply) return HANDSHAKE_XID;
    const xid = reply.readInt32BE(LENGTH_BYTES);
    return xid === NOTIFICATION_XID ? null : xid;
  }

  sessionIn(reply: Buffer): SessionCredentials | null {
    return this.#welcome === reply ? readSession(reply.subarray(LENGTH_BYTES)) : null;
  }

  asUnknown(request: Buffer): Buffer {
    const changed = Buffer.from(request);
    changed.writeInt32BE(NO_OPCODE, LENGTH_BYTES + 4);
    return changed;
  }
}
