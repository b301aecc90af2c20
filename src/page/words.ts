// The page's words and symbols. A condition has a colour, a symbol and a word, and each alone is enough to recognise it. Pure.
import { html, said } from "./html.js";
import type { Html } from "./html.js";
import type { ClaimJson, LockJson, RecordJson } from "../views/json.js";
import type { Condition } from "../locks/claim.js";

// U+FE0E asks for a symbol as text where there is a coloured picture of it, too.
const CONDITIONS: Readonly<Record<Condition, { readonly symbol: string; readonly word: string }>> = {
  failed: { symbol: "✖\ufe0e", word: "FAILED" },
  stale: { symbol: "⚠\ufe0e", word: "STALE" },
  leased: { symbol: "◆", word: "leased" },
  running: { symbol: "▶\ufe0e", word: "running" },
  draining: { symbol: "▽", word: "draining" },
  verifying: { symbol: "?", word: "verifying" },
  soaking: { symbol: "≈", word: "soaking" },
  rebooting: { symbol: "↺", word: "rebooting" },
  open: { symbol: "▷", word: "open" },
  waiting: { symbol: "…", word: "waiting" },
};

const EVENTS: Readonly<Record<string, string>> = {
  released: "✔\ufe0e",
  cleared: "⌫",
  expired: "⌛\ufe0e",
  recovered: "↻",
  failed: "✖\ufe0e",
  frozen: "❄\ufe0e",
  thawed: "☀\ufe0e",
};

export const EVENT_WORDS: readonly string[] = Object.keys(EVENTS);

/** A condition as a badge. */
export function conditionBadge(condition: Condition): Html {
  const { symbol, word } = CONDITIONS[condition];
  return html`<span class="badge ${condition}"><span aria-hidden="true">${symbol}</span> ${word}</span>`;
}

/** How a claim ended, as a badge. */
export function eventBadge(event: string): Html {
  return html`<span class="badge ${event}"><span aria-hidden="true">${EVENTS[event] ?? "•"}</span> ${event}</span>`;
}

/** What an owner does with the lock: the action, or the type of lease. */
export function what({ owner, lease, key }: Pick<ClaimJson, "owner" | "lease" | "key">): Html {
  const name = lease?.type ?? owner.action ?? (owner.pid === null ? "another program" : "a command");
  return key === null ? said(name) : html`${said(name)} with the key ${said(key)}`;
}

/** A claim's owner: the node, and the principal on it. */
export function who({ owner, lease }: Pick<ClaimJson | RecordJson, "owner" | "lease">): Html {
  const caller = lease?.caller == null || lease.caller === owner.principal ? null : html` for ${said(lease.caller)}`;
  return html`<strong>${said(owner.node)}</strong> by ${said(owner.principal)}${caller}`;
}

/** A count with its noun: "1 lock", "2 locks". */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** Whether the claim needs somebody's help. */
export function isStuck({ condition }: Pick<ClaimJson, "condition">): boolean {
  return condition === "failed" || condition === "stale";
}

/** Whether a claim that needs help holds the lock. */
export function isStuckLock({ holders }: Pick<LockJson, "holders">): boolean {
  return holders.some(isStuck);
}

/** The address of a lock's own page. */
export function lockAddress(lock: string): string {
  return `/view/${lock.split("/").map(encodeURIComponent).join("/")}`;
}

/** Locks that need help come first; then it goes by name. */
export function compareLocks(one: LockJson, other: LockJson): number {
  const rank = Number(isStuckLock(other)) - Number(isStuckLock(one));
  return rank !== 0 ? rank : one.lock < other.lock ? -1 : Number(one.lock > other.lock);
}
