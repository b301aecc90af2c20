// The vocabulary of ZooKeeper's protocol that Holdline uses: request types, error codes, statuses, the steps of a transaction.
// messages.ts writes and reads them.

/** The protocol's numbers for requests. */
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
  /** The type that answers a step which makes a container. */
  create2: 15,
  removeWatches: 18,
  createContainer: 19,
  setWatches: 101,
  sasl: 102,
  addWatch: 106,
  whoAmI: 107,
  closeSession: -11,
  error: -1,
} as const;

/** A server answers these, with success or refusal, only after they went through the leader and a majority of the servers. */
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
 * Whether the leader has carried out or refused a write. Other errors come from one server alone, or mean that the session has
 * ended or has moved to another connection.
 */
export function isFromLeader(code: number): boolean {
  return code === 0 || (code <= ZK.noNode && code > ZK.sessionExpired);
}

/** The error codes that Holdline tells apart, as the protocol numbers them. */
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

/** A server's refusal, or the loss of the connection before a reply. Never leaves the ZooKeeper coordinator: see errors.ts. */
export class WireError extends Error {
  override readonly name = "WireError";
  constructor(
    readonly zk: number,
    /** In a transaction: the step that failed, counted from 0. */
    readonly operation: number | null = null,
    /** Of a request whose connection was lost before its answer: how long it was, where it had been sent. */
    readonly sentBytes = 0,
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
  /** How many times a child has been created or deleted. */
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

/** The steps of a transaction. A step with a version fails unless the znode still has that version. */
export const op = {
  create: (path: string, data: Buffer, mode: number): Step => ({ type: TYPE.create, path, data, mode }),
  /** A znode that the server removes by itself once its last child is gone. Servers know this since 3.5.1. */
  createContainer: (path: string, data: Buffer): Step => ({ type: TYPE.createContainer, path, data, mode: CONTAINER }),
  remove: (path: string, version = -1): Step => ({ type: TYPE.delete, path, version }),
  check: (path: string, version: number): Step => ({ type: TYPE.check, path, version }),
  setData: (path: string, data: Buffer, version: number): Step => ({ type: TYPE.setData, path, data, version }),
};

/** The kind of a watch that stays until it is removed, and reports everything below its znode. */
export const PERSISTENT_RECURSIVE = 1;
/** Removes all watches of this session on the znode. */
export const WATCHES_OF_ANY_KIND = 3;

/** The request numbers of frames that answer none of the requests that are counted, from 1. */
export const XID = { event: -1, ping: -2, sasl: 0 } as const;

/** The type of the event that reports a deleted znode. */
export const DELETED = 2;
