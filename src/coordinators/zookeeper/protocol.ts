// The words of ZooKeeper's protocol that Holdline uses: error codes, statuses, modes, the steps of a transaction.
import type { Operation, Reply } from "node-zookeeper-client/lib/jute/index.js";
import jute from "node-zookeeper-client/lib/jute/index.js";

const { OP_CODES } = jute;

/** ZooKeeper's error codes, as its protocol numbers them, that Holdline tells apart. */
export const ZK = {
  connectionLoss: -4,
  unimplemented: -6,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  sessionExpired: -112,
  authFailed: -115,
} as const;

/** A server's refusal, or the loss of the connection before a reply. Never leaves this folder. */
export class WireError extends Error {
  override readonly name = "WireError";
  constructor(
    readonly zk: number,
    /** In a transaction: the operation that failed, counted from 0. */
    readonly operation: number | null = null,
  ) {
    super(`ZooKeeper error ${zk}${operation === null ? "" : ` in operation ${operation} of the transaction`}`);
  }
}

/** A znode's status, in the server's figures. Times are milliseconds since 1970, by the server's clock. */
export interface Stat {
  readonly czxid: number;
  readonly mzxid: number;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  /** The session that an ephemeral znode belongs to, in hexadecimal; `null` for a persistent one. */
  readonly ephemeralOwner: string | null;
}

/** One step of a transaction; made by {@link op}. */
export type Step = Operation;

const PERSISTENT = 0;
const EPHEMERAL = 1;
const PERSISTENT_SEQUENTIAL = 2;
const EPHEMERAL_SEQUENTIAL = 3;
export const MODE = { PERSISTENT, EPHEMERAL, PERSISTENT_SEQUENTIAL, EPHEMERAL_SEQUENTIAL } as const;

/** The steps of a transaction. Every step that names a version holds only if the znode still has it. */
export const op = {
  create: (path: string, data: Buffer, mode: number): Step => ({ type: OP_CODES.CREATE, path, data, mode }),
  remove: (path: string, version = -1): Step => ({ type: OP_CODES.DELETE, path, version }),
  check: (path: string, version: number): Step => ({ type: OP_CODES.CHECK, path, version }),
  setData: (path: string, data: Buffer, version: number): Step => ({ type: OP_CODES.SET_DATA, path, data, version }),
};

/** The status that a reply carries. */
export function statOf(reply: Reply): Stat {
  const raw = (reply.payload as { readonly stat: Record<string, Buffer> & { readonly version: number } }).stat;
  const owner = raw["ephemeralOwner"] as Buffer;
  return {
    czxid: numberOf(raw["czxid"] as Buffer),
    mzxid: numberOf(raw["mzxid"] as Buffer),
    ctime: numberOf(raw["ctime"] as Buffer),
    mtime: numberOf(raw["mtime"] as Buffer),
    version: raw.version,
    ephemeralOwner: owner.every((byte) => byte === 0) ? null : owner.toString("hex"),
  };
}

// Exact up to 2^53: a zxid's upper half counts leader elections, of which there would have to be two million.
export function numberOf(long: Buffer): number {
  return Number(long.readBigInt64BE(0));
}

// Of these requests, which servers have had since 3.6, the package knows nothing.
export const ADD_WATCH = 106;
export const REMOVE_WATCHES = 18;
/** How a watch is added: it stays until it is removed, and tells of everything below its znode. */
export const PERSISTENT_RECURSIVE = 1;
/** Which watches are removed: all of this session's on the znode. */
export const WATCHES_OF_ANY_KIND = 3;

/** What both of them carry, a path and a number, as the package writes what it sends. */
export class PathAndNumber {
  readonly #bytes: Buffer;

  constructor(path: string, number: number) {
    const length = Buffer.byteLength(path);
    this.#bytes = Buffer.alloc(4 + length + 4);
    this.#bytes.writeInt32BE(length, 0);
    this.#bytes.write(path, 4);
    this.#bytes.writeInt32BE(number, 4 + length);
  }

  byteLength(): number {
    return this.#bytes.length;
  }

  serialize(buffer: Buffer, offset: number): number {
    return this.#bytes.copy(buffer, offset);
  }
}

/** What stands at the head of every frame but a connection's first; `null` for a frame that is too short for it. */
export function headOf(frame: Buffer): { readonly xid: number; readonly zxid: Buffer; readonly code: number } | null {
  if (frame.length < 20) return null;
  return { xid: frame.readInt32BE(4), zxid: frame.subarray(8, 16), code: frame.readInt32BE(16) };
}

/** The request numbers of frames that answer no request. */
export const XID = { event: -1, ping: -2 } as const;

/** Of an event: the znode was deleted. */
export const DELETED = 2;
// created, deleted, data changed, children changed; what later servers may add is of no use to a client that has not asked.
const EVENT_TYPES = new Set([1, DELETED, 3, 4]);

/** What an event says of which znode; `null` for events of other kinds. */
export function eventIn(frame: Buffer): { readonly type: number; readonly path: string } | null {
  if (frame.length < 32) return null;
  const type = frame.readInt32BE(20);
  return EVENT_TYPES.has(type) ? { type, path: frame.toString("utf8", 32, 32 + frame.readInt32BE(28)) } : null;
}
