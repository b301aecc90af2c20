// Freezes: what they say, how the one document of a store keeps them, and which of them binds whom. The same document has what the root
// says of itself. Pure.
import { isObject } from "./claim.js";
import type { StoreTime } from "./coordinator.js";
import { matchesPattern } from "./patterns.js";
import { isPlain, PLAIN_ROOT, readRoot, type Root } from "./root.js";

/** The name of the document that has a store's freezes. */
export const FREEZES_DOCUMENT = "freezes";

/** Nothing that it names may begin, until it is thawed or its time is over. Times are milliseconds since 1970 by the store's clock. */
export interface Freeze {
  readonly id: string;
  /** Patterns of locks. */
  readonly locks: readonly string[];
  /** A pattern of nodes; `null`: all. */
  readonly node: string | null;
  /** `null`: all. */
  readonly group: string | null;
  readonly reason: string;
  readonly by: string;
  readonly since: number;
  /** `null`: until it is thawed. */
  readonly until: number | null;
}

/** Who wants to begin, and under which lock. */
export interface FreezeSubject {
  readonly lock: string;
  readonly node: string;
  readonly group: string;
}

/** Whether a freeze is in force. One whose end may not have come yet is. */
export function isInForce({ until }: Freeze, { ms, errorMs }: StoreTime): boolean {
  return until === null || ms - errorMs < until;
}

/** The freezes in force that bind somebody, those of the whole lock first. */
export function bindingFreezes(freezes: readonly Freeze[], subject: FreezeSubject, time: StoreTime): readonly Freeze[] {
  const binding = freezes.filter((freeze) => isInForce(freeze, time) && binds(freeze, subject));
  return [...binding.filter(isOfWholeLock), ...binding.filter((freeze) => !isOfWholeLock(freeze))];
}

/** Whether a freeze binds everybody who wants its locks: then those who wait may keep their places. */
export function isOfWholeLock({ node, group }: Freeze): boolean {
  return node === null && group === null;
}

function binds({ locks, node, group }: Freeze, subject: FreezeSubject): boolean {
  if (!locks.some((pattern) => matchesPattern(pattern, subject.lock))) return false;
  if (node !== null && !matchesPattern(node, subject.node)) return false;
  return group === null || group === subject.group;
}

const VERSION = 1;
// Also says something of the root. A version that does not know that must not take it for a list of freezes and write it anew.
const VERSION_WITH_ROOT = 2;

/** All that the document says. */
export interface FreezesDocument {
  readonly freezes: readonly Freeze[];
  readonly root: Root;
}

export function encodeFreezes(freezes: readonly Freeze[], root: Root = PLAIN_ROOT): string {
  return JSON.stringify(isPlain(root) ? { v: VERSION, freezes } : { v: VERSION_WITH_ROOT, freezes, root });
}

/**
 * The freezes in a document's value.
 * @param value `null`: there is no document, and no freeze
 * @returns `null` for what cannot be read: it may say that everything is frozen
 */
export function decodeFreezes(value: string | null): readonly Freeze[] | null {
  return decodeFreezesDocument(value)?.freezes ?? null;
}

/** The same with what the root says of itself. */
export function decodeFreezesDocument(value: string | null): FreezesDocument | null {
  if (value === null) return { freezes: [], root: PLAIN_ROOT };
  let read: unknown;
  try {
    read = JSON.parse(value);
  } catch {
    return null;
  }
  if (!isObject(read) || !Array.isArray(read["freezes"]) || !read["freezes"].every(isFreeze)) return null;
  const root = read["v"] === VERSION ? PLAIN_ROOT : read["v"] === VERSION_WITH_ROOT ? readRoot(read["root"]) : null;
  return root === null ? null : { freezes: read["freezes"], root };
}

function isFreeze(value: unknown): value is Freeze {
  if (!isObject(value)) return false;
  const { id, locks, node, group, reason, by, since, until } = value;
  return (
    [id, reason, by].every((text) => typeof text === "string") &&
    Array.isArray(locks) &&
    locks.every((lock) => typeof lock === "string") &&
    [node, group].every((text) => text === null || typeof text === "string") &&
    isTime(since) &&
    (until === null || isTime(until))
  );
}

/** Whether a calendar has it: people are told when a freeze began and ends. */
function isTime(value: unknown): boolean {
  return typeof value === "number" && !Number.isNaN(new Date(value).getTime());
}
