// The words of ZooKeeper's protocol that Holdline uses: what can be asked for, error codes, statuses, the steps of a
// transaction. How they are written is messages.ts's.

/** What is asked for, as the protocol numbers it. */
export const TYPE = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getRights: 6,
  setRights: 7,
  getChildren: 8,
  check: 13,
  multi: 14,
  /** As the answer to a step that makes a container is named. */
  create2: 15,
  removeWatches: 18,
  createContainer: 19,
  setWatches: 101,
  addWatch: 106,
  closeSession: -11,
  error: -1,
} as const;

/** What goes through the leader and a majority of the servers before it is answered, refused or not. */
const WRITES: ReadonlySet<number> = new Set([
  TYPE.create,
  TYPE.createContainer,
  TYPE.delete,
  TYPE.setData,
  TYPE.setRights,
  TYPE.multi,
]);

export function isWrite(type: number): boolean {
  return WRITES.has(type);
}

/**
 * Was a write carried out, or refused for what it asked? Other errors come from one server alone, or say that the session
 * has ended or is another connection's by now.
 */
export function isFromLeader(code: number): boolean {
  return code === 0 || (code <= ZK.noNode && code > ZK.sessionExpired);
}

/** ZooKeeper's error codes, as its protocol numbers them, that Holdline tells apart. */
export const ZK = {
  connectionLoss: -4,
  marshalling: -5,
  unimplemented: -6,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  notEmpty: -111,
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
  /** How many children have come and gone. */
  readonly changes: number;
  /** The session that an ephemeral znode belongs to, in hexadecimal; `null` for a persistent one. */
  readonly ephemeralOwner: string | null;
}

/** One step of a transaction; made by {@link op}. */
export type Step =
  | {
      readonly type: typeof TYPE.create | typeof TYPE.createContainer;
      readonly path: string;
      readonly data: Buffer;
      readonly mode: number;
    }
  | { readonly type: typeof TYPE.delete | typeof TYPE.check; readonly path: string; readonly version: number }
  | { readonly type: typeof TYPE.setData; readonly path: string; readonly data: Buffer; readonly version: number };

const PERSISTENT = 0;
const EPHEMERAL = 1;
const PERSISTENT_SEQUENTIAL = 2;
const EPHEMERAL_SEQUENTIAL = 3;
const CONTAINER = 4;
export const MODE = { PERSISTENT, EPHEMERAL, PERSISTENT_SEQUENTIAL, EPHEMERAL_SEQUENTIAL } as const;

/** The steps of a transaction. Every step that names a version holds only if the znode still has it. */
export const op = {
  create: (path: string, data: Buffer, mode: number): Step => ({ type: TYPE.create, path, data, mode }),
  /** A znode that the server removes by itself once its last child has gone. Servers have known this since 3.5.1. */
  createContainer: (path: string, data: Buffer): Step => ({ type: TYPE.createContainer, path, data, mode: CONTAINER }),
  remove: (path: string, version = -1): Step => ({ type: TYPE.delete, path, version }),
  check: (path: string, version: number): Step => ({ type: TYPE.check, path, version }),
  setData: (path: string, data: Buffer, version: number): Step => ({ type: TYPE.setData, path, data, version }),
};

/** How a watch is added: it stays until it is removed, and tells of everything below its znode. */
export const PERSISTENT_RECURSIVE = 1;
/** Which watches are removed: all of this session's on the znode. */
export const WATCHES_OF_ANY_KIND = 3;

/** The request numbers of frames that answer no request. */
export const XID = { event: -1, ping: -2 } as const;

/** Of an event: the znode was deleted. */
export const DELETED = 2;
