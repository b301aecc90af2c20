// The messages of etcd's v3 API that the store sends and reads, as plain data and back. The numbers are those of etcd's rpc.proto,
// auth.proto and kv.proto.
import { MessageReader, MessageWriter } from "./protobuf.js";

/** A key, or all keys from `key` to before `end`. */
export interface KeyRange {
  readonly key: string;
  readonly end?: string;
}

export interface RangeRequest extends KeyRange {
  /** As it was then; by default as it is. */
  readonly revision?: number;
  readonly only?: "keys" | "count";
  readonly newest?: { readonly limit: number; readonly notAfter: number | null };
  readonly limit?: number;
}

/** An operation of a transaction. */
export type Operation =
  | { readonly range: RangeRequest }
  | { readonly put: { readonly key: string; readonly value: string; readonly lease?: string; readonly keepsLease?: boolean } }
  | { readonly remove: KeyRange };

/** What must hold of a key, or of all keys in a range, for a transaction to be carried out. A key that is not there has zeros. */
export type Compare = KeyRange &
  (
    | { readonly is: "created" | "modified" | "version"; readonly at: number }
    | { readonly is: "ephemeral" | "durable" }
    | { readonly is: "equal" | "less"; readonly value: string }
  );

export interface Transaction {
  readonly compares: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure?: readonly Operation[];
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly created: number;
  readonly modified: number;
  /** "0" for a key that outlives every session. */
  readonly lease: string;
}

export interface Header {
  readonly revision: number;
  /** The term of the leader under which the answering member has last applied something. */
  readonly term: number;
  readonly member: string;
}

export interface RangeResponse {
  readonly pairs: readonly KeyValue[];
  readonly count: number;
}

export interface TransactionResponse {
  readonly header: Header;
  readonly isDone: boolean;
  /** One for each operation; empty for those that read nothing. */
  readonly responses: readonly RangeResponse[];
}

export interface WatchResponse {
  readonly header: Header;
  readonly isCreated: boolean;
  /** Why the server ends the watch; `null` where it does not. */
  readonly canceled: string | null;
  readonly keys: readonly string[];
}

export interface MemberStatus {
  readonly header: Header;
  readonly version: string;
  readonly leader: string;
  readonly bytes: number;
  readonly errors: boolean;
}

export type Alarm = "NOSPACE" | "CORRUPT";

/** The end of the range of all keys that begin with `prefix`, which ends with an ASCII character. */
export function after(prefix: string): string {
  const last = prefix.length - 1;
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}

const BY_CREATION = 2;
const DESCENDING = 2;

export function encodeRange({ key, end = "", revision = 0, only, newest, limit = 0 }: RangeRequest): Buffer {
  const message = new MessageWriter().bytes(1, key).bytes(2, end);
  message.integer(3, newest?.limit ?? limit).integer(4, revision);
  if (newest !== undefined) message.integer(5, DESCENDING).integer(6, BY_CREATION);
  return message
    .flag(8, only === "keys")
    .flag(9, only === "count")
    .integer(13, newest?.notAfter ?? 0)
    .finish();
}

export function encodeTransaction({ compares, success, failure = [] }: Transaction): Buffer {
  const message = new MessageWriter();
  for (const compare of compares) message.message(1, encodeCompare(compare));
  for (const operation of success) message.message(2, encodeOperation(operation));
  for (const operation of failure) message.message(3, encodeOperation(operation));
  return message.finish();
}

function encodeOperation(operation: Operation): Buffer {
  const message = new MessageWriter();
  if ("range" in operation) return message.message(1, encodeRange(operation.range)).finish();
  if ("remove" in operation) {
    const { key, end = "" } = operation.remove;
    return message.message(3, new MessageWriter().bytes(1, key).bytes(2, end).finish()).finish();
  }
  const { key, value, lease = "0", keepsLease = false } = operation.put;
  const put = new MessageWriter().bytes(1, key).bytes(2, value);
  put.integer(3, BigInt(lease)).flag(6, keepsLease);
  return message.message(2, put.finish()).finish();
}

const RESULTS = { equal: 0, greater: 1, less: 2, different: 3 };
const TARGETS = { version: 0, created: 1, modified: 2, value: 3, lease: 4 };

function encodeCompare(compare: Compare): Buffer {
  const message = new MessageWriter();
  const about = (result: keyof typeof RESULTS, target: keyof typeof TARGETS): MessageWriter =>
    message.integer(1, RESULTS[result]).integer(2, TARGETS[target]).bytes(3, compare.key);
  switch (compare.is) {
    case "created":
    case "modified":
    case "version":
      about("equal", compare.is).integer(4 + TARGETS[compare.is], compare.at);
      break;
    case "ephemeral":
      about("different", "lease").integer(8, 0);
      break;
    case "durable":
      about("equal", "lease").integer(8, 0);
      break;
    case "equal":
    case "less":
      about(compare.is, "value").bytes(7, compare.value);
  }
  return message.bytes(64, compare.end ?? "").finish();
}

export function decodeRange(message: MessageReader): RangeResponse {
  return { pairs: message.messages(2).map(decodePair), count: message.integer(4) };
}

function decodePair(message: MessageReader): KeyValue {
  return {
    key: message.text(1),
    created: message.integer(2),
    modified: message.integer(3),
    value: message.text(5),
    lease: message.identifier(6),
  };
}

export function decodeTransaction(bytes: Buffer): TransactionResponse {
  const message = new MessageReader(bytes);
  const responses = message.messages(3).map((response) => decodeRange(response.message(1)));
  return { header: decodeHeader(message), isDone: message.flag(2), responses };
}

/** Every response has its header in its first field. */
export function decodeHeader(response: MessageReader): Header {
  const header = response.message(1);
  return { member: header.identifier(2), revision: header.integer(3), term: header.integer(4) };
}

export function encodeGrant(seconds: number): Buffer {
  return new MessageWriter().integer(1, seconds).finish();
}

/** What names a lease and no more: to renew it, or to revoke it. */
export function encodeLease(lease: string): Buffer {
  return new MessageWriter().integer(1, BigInt(lease)).finish();
}

/** A lease that was granted or renewed. @property seconds 0 for one that has ended */
export function decodeLease(bytes: Buffer): { readonly header: Header; readonly lease: string; readonly seconds: number } {
  const message = new MessageReader(bytes);
  return { header: decodeHeader(message), lease: message.identifier(2), seconds: message.integer(3) };
}

export function encodeWatch({ key, end = "" }: KeyRange): Buffer {
  return new MessageWriter().message(1, new MessageWriter().bytes(1, key).bytes(2, end).finish()).finish();
}

export function decodeWatch(bytes: Buffer): WatchResponse {
  const message = new MessageReader(bytes);
  const compacted = message.integer(5);
  const reason = message.text(6) || (compacted > 0 ? "etcdserver: mvcc: required revision has been compacted" : "no reason given");
  return {
    header: decodeHeader(message),
    isCreated: message.flag(3),
    canceled: message.flag(4) || compacted > 0 ? reason : null,
    keys: message.messages(11).map((event) => event.message(2).text(1)),
  };
}

export function encodeCredentials(user: string, password: string): Buffer {
  return new MessageWriter().bytes(1, user).bytes(2, password).finish();
}

export function decodeToken(bytes: Buffer): string {
  return new MessageReader(bytes).text(2);
}

export function decodeStatus(bytes: Buffer): MemberStatus {
  const message = new MessageReader(bytes);
  return {
    header: decodeHeader(message),
    version: message.text(2),
    bytes: message.integer(3),
    leader: message.identifier(4),
    errors: message.has(8),
  };
}

/** The alarms that are raised, of whichever member. */
export function decodeAlarms(bytes: Buffer): ReadonlySet<Alarm> {
  const alarms = new MessageReader(bytes).messages(2).map((alarm) => alarm.integer(2));
  return new Set(alarms.flatMap((alarm) => (alarm === 1 ? (["NOSPACE"] as const) : alarm === 2 ? (["CORRUPT"] as const) : [])));
}
