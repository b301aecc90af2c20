// Which locks are shown: a text that is looked for, and a condition. The same on the server, for those without JavaScript, and
// in the browser. Pure.
import { counted, isStuckLock } from "./words.js";
import type { LockJson } from "../views/json.js";
import type { Condition } from "../locks/claim.js";

export interface Filter {
  /** In any case, in what the claims say of themselves; "" for all. */
  readonly find: string;
  readonly show: Show;
}

/** The choices, by what they are called in addresses. */
export const SHOWS = {
  all: "all",
  stuck: "failed or stale",
  line: "with a line",
  running: "running",
  leased: "leased",
} as const;

export type Show = keyof typeof SHOWS;

export const NO_FILTER: Filter = { find: "", show: "all" };

/** A filter out of an address's query. What is no choice is none. */
export function parseFilter(query: { get(name: string): string | null }): Filter {
  const show = query.get("show") ?? "";
  return { find: query.get("find") ?? "", show: Object.hasOwn(SHOWS, show) ? (show as Show) : "all" };
}

export function matchesFilter({ find, show }: Filter, lock: LockJson): boolean {
  return isShown(show, lock) && (find.trim() === "" || textsOf(lock).includes(find.trim().toLowerCase()));
}

function isShown(show: Show, lock: LockJson): boolean {
  const { holders, waiting } = lock;
  switch (show) {
    case "all":
      return true;
    case "stuck":
      return isStuckLock(lock);
    case "line":
      return waiting.length > 0;
    case "running":
    case "leased":
      return holders.some(({ condition }) => condition === show);
  }
}

function textsOf({ lock, holders, waiting }: LockJson): string {
  const texts = [...holders, ...waiting].flatMap(({ owner, lease, key, reason }) => [
    ...[owner.node, owner.principal, owner.action, lease?.caller, key, reason],
  ]);
  return [lock, ...texts].join("\n").toLowerCase();
}

/** How many there are of what; summaries of single locks add up to that of all. */
export interface Summary {
  readonly locks: number;
  readonly waiting: number;
  readonly holders: { readonly [C in Exclude<Condition, "waiting">]: number };
}

export function summaryOf(locks: readonly LockJson[]): Summary {
  const holders = { failed: 0, stale: 0, leased: 0, running: 0 };
  let waiting = 0;
  for (const lock of locks) {
    waiting += lock.waiting.length;
    for (const { condition } of lock.holders) if (condition !== "waiting") holders[condition] += 1;
  }
  return { locks: locks.length, waiting, holders };
}

/** "12 locks: 1 failed, 9 running, 2 leased; 30 waiting". */
export function summaryText({ locks, waiting, holders }: Summary): string {
  if (locks === 0) return "Nobody holds or waits for any lock.";
  const held = Object.entries(holders).flatMap(([condition, count]) => (count === 0 ? [] : [`${count} ${condition}`]));
  return `${counted(locks, "lock")}: ${[...held, `${waiting} waiting`].join(", ")}.`;
}
