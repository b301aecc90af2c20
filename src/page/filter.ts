// The filter of the list: a text to find, and a condition. The server applies it for readers without JavaScript, and the browser
// for the others. Pure.
import { counted, isAtWork, isStuckLock } from "./words.js";
import type { LockJson } from "../views/json.js";
import type { Condition } from "../locks/claim.js";

export interface Filter {
  /** A text in the claims, in upper or lower case; "" for all. */
  readonly find: string;
  readonly show: Show;
}

/** The choices, by their names in addresses. */
export const SHOWS = {
  all: "all",
  stuck: "failed or stale",
  line: "with a line",
  running: "running",
  leased: "leased",
} as const;

export type Show = keyof typeof SHOWS;

export const NO_FILTER: Filter = { find: "", show: "all" };

/** The filter in an address's query. An unknown choice counts as none. */
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
      return holders.some(({ condition }) => isAtWork(condition));
    case "leased":
      return holders.some(({ condition }) => condition === "leased");
  }
}

function textsOf({ lock, holders, waiting }: LockJson): string {
  const texts = [...holders, ...waiting].flatMap(({ owner, lease, key, reason }) => [
    ...[owner.node, owner.principal, owner.action, lease?.caller, key, reason],
  ]);
  return [lock, ...texts].join("\n").toLowerCase();
}

/** Counts of locks, waiters, and holders by their condition. */
export interface Summary {
  readonly locks: number;
  readonly waiting: number;
  readonly holders: { readonly [C in Exclude<Condition, "waiting">]: number };
}

export function summaryOf(locks: readonly LockJson[]): Summary {
  const holders = {
    ...{ failed: 0, stale: 0, leased: 0, running: 0 },
    ...{ draining: 0, verifying: 0, soaking: 0, rebooting: 0, open: 0 },
  };
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
