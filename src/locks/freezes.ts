// Freezes: what they say, how the one document of a store keeps them, and which of them binds whom. Pure.
import { isObject } from "./claim.js";
import type { StoreTime } from "./coordinator.js";
import { matchesPattern } from "./patterns.js";

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

export function encodeFreezes(freezes: readonly Freeze[]): string {
  return JSON.stringify({ v: VERSION, freezes });
}

/**
 * The freezes in a document's value.
 * @param value `null`: there is no document, and no freeze
 * @returns `null` for what cannot be read: it may say that everything is frozen
 */
export function decodeFreezes(value: string | null): readonly Freeze[] | null {
  if (value === null) return [];
  let read: unknown;
  try {
    read = JSON.parse(value);
  } catch {
    return null;
  }
  if (!isObject(read) || read["v"] !== VERSION || !Array.isArray(read["freezes"])) return null;
  return read["freezes"].every(isFreeze) ? read["freezes"] : null;
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
