// Where things are in ZooKeeper, and what the names of znodes say: Holdline's claims and records, and the claims of foreign recipes that
// take turns with it on the same path. Pure functions.
import { createHash } from "node:crypto";
import type { Ahead, Draft, EntryRef } from "../../locks/coordinator.js";
import type { Changed } from "../../locks/listeners.js";
import { lockNameProblem } from "../../locks/names.js";

/** The paths of the znodes under a root. */
export interface Layout {
  readonly root: string;
  readonly locks: string;
  readonly alive: string;
  readonly history: string;
  readonly clock: string;
  readonly documents: string;
  documentOf(name: string): string;
  lock(name: string): string;
  entry(entry: Pick<EntryRef, "lock" | "ref">): string;
  /** The znodes that a lock's name leads through, its own last. */
  foldersOf(name: string): readonly string[];
  /** The path of a lock's history records up to the number that the server appends. */
  recordsOf(name: string): string;
  /** The folder in which Holdline up to 0.1 kept a lock's history. */
  formerHistoryOf(name: string): string;
  aliveOf(claim: string): string;
}

export function createLayout(root: string): Layout {
  const locks = `${root}/locks`;
  const history = `${root}/history`;
  const alive = `${root}/alive`;
  return {
    locks,
    alive,
    history,
    root,
    clock: `${root}/clock`,
    documents: `${root}/documents`,
    documentOf: (name) => `${root}/documents/${encodeURIComponent(name)}`,
    lock: (name) => `${locks}/${encodeName(name)}`,
    entry: ({ lock, ref }) => `${locks}/${encodeName(lock)}/${ref}`,
    foldersOf(name) {
      const segments = encodeName(name).split("/");
      return segments.map((_, index) => `${locks}/${segments.slice(0, index + 1).join("/")}`);
    },
    recordsOf: (name) => `${history}/${RECORD_PREFIX}${encodeURIComponent(name)}=`,
    formerHistoryOf: (name) => `${history}/${encodeName(name)}`,
    aliveOf: (claim) => `${alive}/${claim}`,
  };
}

// A claim's name ends like this in Curator's mutex and in Holdline, in kazoo's locks, and in Curator's read/write lock.
const CLAIM = /^(.*?)(lock-|__lock__|__rlock__|__READ__|__WRIT__)(-?\d{10})$/s;
const OURS = /^_c_[0-9a-f-]{36}-e?(?:[1-9]\d{0,9}|u)(?:\.[A-Za-z0-9_-]{22})?-lock--?\d{10}$/;
// The parts of Holdline's own names: the id, and the tag behind it.
const [ID_AT, TAG_AT, BEHIND_TAG] = [3, 40, "-lock-"];
// An encoded name has no "=" in it.
const RECORD = /^_h_([^=]+)=(-?\d{10})$/;
const FORMER_RECORD = /^_h_(-?\d{10})$/;

const SEQUENCE_DIGITS = 10;
const [ZERO, MINUS, UNDERSCORE] = [0x30, 0x2d, 0x5f];

const RECORD_PREFIX = "_h_";

/** A claim's znode name, parsed. */
export interface ClaimName extends Ahead {
  /** The claim's id if the name is Holdline's own. */
  readonly id: string | null;
  readonly sequence: number;
  /** Whether it may be deleted and made again, durable, in one transaction. */
  readonly settles: boolean;
}

/**
 * The name of a new claim up to its sequence number. The tag has slots and key, so that the rule needs names alone, and says whether the
 * claim stays ephemeral: then its deletion alone means that it has left.
 */
export function claimPrefix({ id, key, slots, settles }: Pick<Draft, "id" | "key" | "slots" | "settles">): string {
  const tag = `${settles ? "" : "e"}${Number.isFinite(slots) ? slots : "u"}${key === null ? "" : `.${hashKey(key)}`}`;
  return `_c_${id}-${tag}-lock-`;
}

/** One of Holdline's own names. A long line has thousands, so the parts are cut out only when someone reads them. */
class OwnName implements ClaimName {
  readonly ref: string;
  readonly sequence: number;
  readonly #tag: Tag;

  constructor(ref: string, sequence: number, tag: Tag) {
    this.ref = ref;
    this.sequence = sequence;
    this.#tag = tag;
  }

  get id(): string {
    return this.ref.slice(ID_AT, TAG_AT - 1);
  }

  get key(): string | null {
    return this.#tag.key;
  }

  get slots(): number {
    return this.#tag.slots;
  }

  get settles(): boolean {
    return this.#tag.settles;
  }
}

/** Parses the name of a child of a lock's znode; `null` when it is no claim. */
export function parseClaimName(ref: string): ClaimName | null {
  if (OURS.test(ref)) {
    const digitsAt = ref.length - SEQUENCE_DIGITS;
    const isNegative = ref.charCodeAt(digitsAt - 2) === MINUS;
    const tag = tagAt(ref, digitsAt - (isNegative ? 1 : 0) - BEHIND_TAG.length);
    let sequence = 0;
    for (let at = digitsAt; at < ref.length; at += 1) sequence = 10 * sequence + ref.charCodeAt(at) - ZERO;
    return new OwnName(ref, isNegative ? -sequence : sequence, tag);
  }
  const parts = CLAIM.exec(ref);
  if (parts === null) return null;
  const [, , kind, digits] = parts;
  const sequence = Number(digits);
  // A foreign contender is an exclusive claim, except that readers share with each other.
  if (kind === "__READ__" || kind === "__rlock__")
    return { ref, id: null, sequence, key: FOREIGN_READERS, slots: Number.POSITIVE_INFINITY, settles: false };
  return { ref, id: null, sequence, key: null, slots: 1, settles: false };
}

interface Tag {
  readonly text: string;
  readonly key: string | null;
  readonly slots: number;
  readonly settles: boolean;
}

// There are few different tags, and a long line mostly has the same one again and again.
const tags = new Map<string, Tag>();
const MOST_TAGS = 1_000;
let latest: Tag | null = null;

function tagAt(ref: string, end: number): Tag {
  if (latest !== null && TAG_AT + latest.text.length === end && ref.startsWith(latest.text, TAG_AT)) return latest;
  const text = ref.slice(TAG_AT, end);
  latest = tags.get(text) ?? parseTag(text);
  return latest;
}

function parseTag(text: string): Tag {
  const settles = !text.startsWith("e");
  const [slots, key = null] = text.slice(settles ? 0 : 1).split(".");
  const tag = { text, key, slots: slots === "u" ? Number.POSITIVE_INFINITY : Number(slots), settles };
  if (tags.size >= MOST_TAGS) tags.clear();
  tags.set(text, tag);
  return tag;
}

/** The key of foreign readers. No hash has its length. */
export const FOREIGN_READERS = "foreign readers";

/** The claims among a lock's children, in the order of the queue. */
export function orderClaims(children: readonly string[]): ClaimName[] {
  const claims: ClaimName[] = [];
  for (const child of children) {
    const claim = parseClaimName(child);
    if (claim !== null) claims.push(claim);
  }
  return claims.sort(bySequence);
}

/**
 * A test, by the bytes of a child's name, whether it is the claim `ref` or ahead of it. A waiter in a line of thousands parses such lists
 * again and again.
 */
export function notBehind(ref: string): (bytes: Buffer, from: number, to: number) => boolean {
  const own = parseClaimName(ref)?.sequence ?? 0;
  return (bytes, from, to) => {
    const sequence = sequenceIn(bytes, from, to);
    return sequence !== null && ((sequence - own) | 0) <= 0;
  };
}

/** The name that is furthest behind in a queue; `null` when one of the names is unknown. */
export function furthest(refs: readonly (string | null)[]): string | null {
  let last: { readonly ref: string; readonly sequence: number } | null = null;
  for (const ref of refs) {
    const sequence = ref === null ? undefined : parseClaimName(ref)?.sequence;
    if (ref === null || sequence === undefined) return null;
    if (last === null || bySequence({ sequence }, last) > 0) last = { ref, sequence };
  }
  return last?.ref ?? null;
}

/** The number at the end of a claim's name; `null` when there is none. */
function sequenceIn(bytes: Buffer, from: number, to: number): number | null {
  const first = to - SEQUENCE_DIGITS;
  if (first < from) return null;
  let sequence = 0;
  for (let at = first; at < to; at += 1) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) return null;
    sequence = 10 * sequence + digit;
  }
  // The text before a number ends in "-" or "_". A further "-" is the number's sign.
  const before = bytes[first - 2];
  const isNegative = first - 2 >= from && bytes[first - 1] === MINUS && (before === MINUS || before === UNDERSCORE);
  return isNegative ? -sequence : sequence;
}

/** Sequence numbers wrap from 2^31 - 1 to -2^31. Queues and histories are shorter than half of that, so the sign of the difference decides. */
function bySequence(one: { readonly sequence: number }, other: { readonly sequence: number }): number {
  return (one.sequence - other.sequence) | 0;
}

/** A history record's znode name, parsed. */
export interface RecordName {
  readonly name: string;
  readonly lock: string;
  readonly sequence: number;
}

/** Parses the name of a child of the history's znode; `null` when it is no record. */
export function parseRecordName(name: string): RecordName | null {
  const [, encoded, digits] = RECORD.exec(name) ?? [];
  if (encoded === undefined) return null;
  try {
    const lock = decodeURIComponent(encoded);
    const isOurs = lockNameProblem(lock) === null && encodeURIComponent(lock) === encoded;
    return isOurs ? { name, lock, sequence: Number(digits) } : null;
  } catch {
    return null;
  }
}

/** The records among the children of the history's znode, newest first. */
export function orderRecords(children: readonly string[]): RecordName[] {
  const records = children.map(parseRecordName).filter((record) => record !== null);
  return records.sort((one, other) => bySequence(other, one));
}

/** The names of the records in a history folder of Holdline up to 0.1, newest first. */
export function orderFormerRecords(children: readonly string[]): string[] {
  const records = children.flatMap((name) => {
    const digits = FORMER_RECORD.exec(name)?.[1];
    return digits === undefined ? [] : [{ name, sequence: Number(digits) }];
  });
  return records.sort((one, other) => bySequence(other, one)).map(({ name }) => name);
}

/** The children of a znode that are parts of lock names, and not claims or history records. */
export function segmentsAmong(children: readonly string[]): string[] {
  return children.filter((child) => !child.startsWith("_") && parseClaimName(child) === null);
}

/** A key's hash as the tag has it: 128 bits of SHA-256, so that two keys never meet by chance. */
export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest().subarray(0, 16).toString("base64url");
}

/** A lock's name as a path of znodes, percent-encoded segment by segment. */
export function encodeName(name: string): string {
  return name.split("/").map(encodeSegment).join("/");
}

// A segment must not look like the claims and records beside it.
function encodeSegment(segment: string): string {
  const encoded = encodeURIComponent(segment).replace(/^_/, "%5F");
  if (!CLAIM.test(encoded)) return encoded;
  const last = encoded.length - 1;
  return `${encoded.slice(0, last)}%${encoded.charCodeAt(last).toString(16).toUpperCase()}`;
}

/** A lock's name from a path of znodes; `null` for a path that Holdline did not write. */
export function decodeName(path: string): string | null {
  try {
    const name = decodeURIComponent(path);
    // Another spelling would be a second lock of the same name, and nobody would ever look it up.
    return lockNameProblem(name) === null && encodeName(name) === path ? name : null;
  } catch {
    return null;
  }
}

/** The name of a document by its znode's; `null` for what Holdline has not named. */
export function documentIn(znode: string): string | null {
  try {
    return decodeURIComponent(znode);
  } catch {
    return null;
  }
}

/** The lock, the claim's liveness or the document that a change of the znode at `path` concerns; `null` when it may be anything. */
export function changedAt({ locks, alive, history, documents }: Layout, path: string): Changed {
  const below = (tree: string): string[] | null => (path.startsWith(`${tree}/`) ? path.slice(tree.length + 1).split("/") : null);
  const [claim] = below(alive) ?? [];
  if (claim !== undefined) return { claim };
  const [znode] = below(documents) ?? [];
  if (znode !== undefined) {
    const document = documentIn(znode);
    return document === null ? null : { document };
  }
  const [recorded] = below(history) ?? [];
  if (recorded !== undefined) {
    const record = parseRecordName(recorded);
    return record === null ? null : { lock: record.lock };
  }
  const segments = below(locks);
  if (segments === null) return null;
  if (parseClaimName(segments.at(-1) as string) !== null) segments.pop();
  const lock = decodeName(segments.join("/"));
  return lock === null ? null : { lock };
}
