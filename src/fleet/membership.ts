// How many nodes a group has, and what a percentage of them is. The count is kept in a document beside the nodes' own, so that a run
// does not have to read them all. Pure.
import { isObject } from "../locks/claim.js";
import { LONGEST_NAME_BYTES } from "../locks/names.js";
import type { NodeDocument } from "./node.js";

const MEMBERSHIP_PREFIX = "membership/";

/** How many nodes a group had, and when they were counted: milliseconds since 1970 by the store's clock. */
export interface Membership {
  readonly group: string;
  readonly count: number;
  readonly countedAt: number;
}

// Reading a node's document costs a store some 60 μs, so counting takes about a thousandth of the time for which the count is believed.
const BELIEVED_PER_NODE_MS = 60;
const BELIEVED_AT_LEAST_MS = 1_000;
// Sixty thousand nodes. Whatever stands there, it is counted again some time.
const BELIEVED_AT_MOST_MS = 3_600_000;

/** Whether a count is so young that nobody has to count again. One from the future is not. */
export function isBelieved({ count, countedAt }: Membership, now: number): boolean {
  const age = now - countedAt;
  return age >= 0 && age < Math.min(Math.max(BELIEVED_AT_LEAST_MS, count * BELIEVED_PER_NODE_MS), BELIEVED_AT_MOST_MS);
}

/**
 * Counts a group's nodes that have been seen within `membershipMs`.
 * @param self the node that counts, which is one of the group whether or not it has been seen
 */
export function countMembers(
  nodes: readonly Pick<NodeDocument, "node" | "group" | "seenAt">[],
  {
    group,
    membershipMs,
    now,
    self,
  }: { readonly group: string; readonly membershipMs: number; readonly now: number; readonly self: string },
): number {
  // One that was seen in the future was not: it would count for ever.
  const isSeen = ({ seenAt }: Pick<NodeDocument, "seenAt">): boolean => Math.abs(now - seenAt) <= membershipMs;
  const others = nodes.filter((node) => node.group === group && node.node !== self && isSeen(node));
  return others.length + 1;
}

/** A percentage of a group's nodes, rounded down, at least 1. */
export function slotsOf(percent: number, count: number): number {
  // In whole numbers first: 29 % of 100 is 29, and 0.29 * 100 is a little less.
  return Math.max(1, Math.floor((percent * count) / 100));
}

/** The document with a group's count; `null` for a group whose name is too long for one, which is counted each time. */
export function documentOfMembership(group: string): string | null {
  const name = `${MEMBERSHIP_PREFIX}${group}`;
  return Buffer.byteLength(name) <= LONGEST_NAME_BYTES ? name : null;
}

export function encodeMembership(membership: Membership): string {
  return JSON.stringify({ v: VERSION, ...membership });
}

/** `null` for what is no count of this group. */
export function decodeMembership(value: string, group: string): Membership | null {
  let read: unknown;
  try {
    read = JSON.parse(value);
  } catch {
    return null;
  }
  if (!isObject(read) || read["v"] !== VERSION || read["group"] !== group) return null;
  const { count, countedAt } = read;
  if (!Number.isSafeInteger(count) || (count as number) < 1 || !Number.isFinite(countedAt)) return null;
  return { group, count: count as number, countedAt: countedAt as number };
}

const VERSION = 1;
