// Writes requests, and parses answers and events.
import { ANSWER_HEAD, Answer, longAt, Request, sizeOf } from "./jute.js";
import { DELETED, type Stat, type Step, TYPE, WireError } from "./protocol.js";

const ALL_PERMISSIONS = 31;
const ANY_VERSION = -1;

/** Access rights of a new znode, as the protocol writes them. */
export const ACL = {
  /** Everyone may do everything. */
  open: aclOf("world", "anyone"),
  /** Only sessions with the creator's credentials may do anything. */
  creator: aclOf("auth", ""),
} as const;

function aclOf(scheme: string, id: string): Buffer {
  const size = 4 + 4 + sizeOf(scheme) + sizeOf(id);
  const { frame } = new Request(TYPE.create, size).int(1).int(ALL_PERMISSIONS).text(scheme).text(id);
  return frame.subarray(frame.length - size);
}

/** A request for a znode's status, data or children. */
export function readRequest(type: number, path: string, watch: boolean): Request {
  return new Request(type, sizeOf(path) + 1).text(path).flag(watch);
}

/** A request for a znode's access rights. */
export function getRightsRequest(path: string): Request {
  return new Request(TYPE.getRights, sizeOf(path)).text(path);
}

/** A request that replaces a znode's access rights. */
export function setRightsRequest(path: string, acl: Buffer): Request {
  return new Request(TYPE.setRights, sizeOf(path) + acl.length + 4).text(path).raw(acl).int(ANY_VERSION);
}

/** One line of a znode's ACL. */
export interface Right {
  /** As ZooKeeper adds them up: 1 read, 2 write, 4 create, 8 delete, 16 admin. */
  readonly permissions: number;
  readonly scheme: string;
  readonly id: string;
}

export function parseRights(answer: Answer): readonly Right[] {
  const rights: Right[] = [];
  for (let left = answer.int(); left > 0; left -= 1) {
    rights.push({ permissions: answer.int(), scheme: answer.text(), id: answer.text() });
  }
  return rights;
}

/** As whom a server knows a session. */
export interface Identity {
  /** `digest`, `sasl`, `x509`, `ip`, … */
  readonly scheme: string;
  readonly user: string;
}

export function parseIdentities(answer: Answer): readonly Identity[] {
  const identities: Identity[] = [];
  for (let left = answer.int(); left > 0; left -= 1) identities.push({ scheme: answer.text(), user: answer.text() });
  return identities;
}

/** A request that consists of a path and a number. */
export function pathAndNumberRequest(type: number, path: string, number: number): Request {
  return new Request(type, sizeOf(path) + 4).text(path).int(number);
}

/**
 * A request to report the next change of znodes, or at once those that have changed since a transaction: of `data` znodes that they
 * are deleted or written to, of `children` znodes that they, or znodes below them, are created or deleted.
 */
export function setWatchesRequest(since: number, data: readonly string[], children: readonly string[]): Request {
  const sizeOfAll = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + sizeOf(text), 4);
  const request = new Request(TYPE.setWatches, 8 + sizeOfAll(data) + 4 + sizeOfAll(children)).long(since);
  // The list between the two is for znodes that do not exist yet.
  return request.texts(data).texts([]).texts(children);
}

/** A request that changes one znode. */
export function changeRequest(step: Step, acl: Buffer): Request {
  return writeStep(new Request(step.type, sizeOfStep(step, acl)), step, acl);
}

// Before each step, and behind the last, the protocol has a type, whether the list ends here, and an error code without meaning.
const STEP_HEAD = 4 + 1 + 4;
const NO_ERROR = -1;

export function transactionRequest(steps: readonly Step[], acl: Buffer): Request {
  const size = steps.reduce((sum, step) => sum + STEP_HEAD + sizeOfStep(step, acl), STEP_HEAD);
  const request = new Request(TYPE.multi, size);
  for (const step of steps) writeStep(request.int(step.type).flag(false).int(NO_ERROR), step, acl);
  return request.int(TYPE.error).flag(true).int(NO_ERROR);
}

function sizeOfStep(step: Step, acl: Buffer): number {
  const path = sizeOf(step.path);
  if (isCreation(step)) return path + 4 + step.data.length + acl.length + 4;
  return step.type === TYPE.setData ? path + 4 + step.data.length + 4 : path + 4;
}

function isCreation(step: Step): step is Extract<Step, { readonly mode: number }> {
  return step.type === TYPE.create || step.type === TYPE.createContainer;
}

function writeStep(request: Request, step: Step, acl: Buffer): Request {
  request.text(step.path);
  if (isCreation(step)) return request.bytes(step.data).raw(acl).int(step.mode);
  if (step.type === TYPE.setData) request.bytes(step.data);
  return request.int(step.version);
}

/** The result of a step: the path that it created, or the status of the znode that it wrote to. */
export interface StepResult {
  readonly path: string | null;
  readonly stat: Stat | null;
}

/**
 * The results of a transaction, step by step.
 * @throws WireError with the step that failed, and how
 */
export function parseTransaction(answer: Answer): readonly StepResult[] {
  const done: StepResult[] = [];
  let failure: WireError | null = null;
  for (;;) {
    const type = answer.int();
    const isEnd = answer.flag();
    answer.int();
    if (isEnd) break;
    if (type === TYPE.error) {
      // Steps before the one that failed carry no error, steps behind it carry another code: the first code is the cause.
      const code = answer.int();
      if (code !== 0) failure ??= new WireError(code, done.length);
    }
    // The answer for a container has both.
    const isContainer = type === TYPE.create2 || type === TYPE.createContainer;
    done.push({
      path: type === TYPE.create || isContainer ? answer.text() : null,
      stat: type === TYPE.setData || isContainer ? parseStat(answer) : null,
    });
  }
  if (failure !== null) throw failure;
  return done;
}

/** Whether to keep a text, given its bytes from `from` up to `to`. */
export type IsWanted = (bytes: Buffer, from: number, to: number) => boolean;

/** The wanted texts of the list in an answer. Makes no strings of the others. */
export function parseTexts(answer: Answer, isWanted: IsWanted): string[] {
  const texts: string[] = [];
  for (let left = answer.int(); left > 0; left -= 1) {
    const [from, to] = answer.span();
    if (isWanted(answer.frame, from, to)) texts.push(answer.frame.toString("utf8", from, to));
  }
  return texts;
}

/** Parses the status that comes next in an answer. */
export function parseStat(answer: Answer): Stat {
  const [czxid, mzxid, ctime, mtime, version] = [answer.long(), answer.long(), answer.long(), answer.long(), answer.int()];
  const changes = answer.int();
  // Skips the version of its access rights.
  answer.at += 4;
  const owner = answer.frame.subarray(answer.at, answer.at + 8);
  const isEphemeral = answer.long() !== 0;
  // Skips the length of its data, its number of children, and the transaction that last changed them.
  answer.at += 4 + 4 + 8;
  return { czxid, mzxid, ctime, mtime, version, changes, ephemeralOwner: isEphemeral ? owner.toString("hex") : null };
}

/** The head that every frame but a connection's first has; `null` for a frame that is too short. */
export function parseHead(frame: Buffer): { readonly xid: number; readonly zxid: number; readonly code: number } | null {
  if (frame.length < ANSWER_HEAD) return null;
  return { xid: frame.readInt32BE(4), zxid: longAt(frame, 8), code: frame.readInt32BE(16) };
}

// Created, deleted, data changed, children changed. A later server may add types that this client has not asked for.
const EVENT_TYPES = new Set([1, DELETED, 3, 4]);

const EVENT_HEAD = ANSWER_HEAD + 4 + 4 + 4;

/** The type of an event and its znode; `null` for other kinds of events. */
export function parseEvent(frame: Buffer): { readonly type: number; readonly path: string } | null {
  if (frame.length < EVENT_HEAD) return null;
  const answer = new Answer(frame);
  const type = answer.int();
  // Skips the connection's state: client.ts knows it sooner.
  answer.int();
  return EVENT_TYPES.has(type) ? { type, path: answer.text() } : null;
}
