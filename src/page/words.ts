// The page's words and symbols. A condition has a colour, a symbol and a word, and each alone is enough to recognise it. Pure.
import { html, said } from "./html.js";
import type { Html } from "./html.js";
import type { ClaimJson, LockJson, RecordJson } from "../views/json.js";
import { STAGES } from "../locks/claim.js";
import type { Condition } from "../locks/claim.js";

// U+FE0E asks for a symbol as text where there is a coloured picture of it, too.
const CONDITIONS: Readonly<Record<Condition, { readonly symbol: string; readonly word: string }>> = {
  failed: { symbol: "✖\ufe0e", word: "FAILED" },
  stale: { symbol: "⚠\ufe0e", word: "STALE" },
  leased: { symbol: "◆", word: "leased" },
  running: { symbol: "▶\ufe0e", word: "running" },
  draining: { symbol: "⇩", word: "draining" },
  verifying: { symbol: "◎", word: "verifying" },
  soaking: { symbol: "≈", word: "soaking" },
  rebooting: { symbol: "↺", word: "rebooting" },
  open: { symbol: "✎\ufe0e", word: "open" },
  waiting: { symbol: "…", word: "waiting" },
};

/** How nodes do, in the order of urgency. */
export const NODE_WORDS = {
  failed: { symbol: "✖\ufe0e", word: "failed" },
  running: { symbol: "▶\ufe0e", word: "running" },
  waiting: { symbol: "…", word: "waiting" },
  pending: { symbol: "◔", word: "pending" },
  done: { symbol: "✔\ufe0e", word: "done" },
  idle: { symbol: "○", word: "idle" },
} as const;

export type NodeState = keyof typeof NODE_WORDS;

export const ROLLOUT_WORDS = { ...NODE_WORDS, notYet: { symbol: "○", word: "not yet" } } as const;

export type RolloutState = Exclude<keyof typeof ROLLOUT_WORDS, "idle">;

/** How a node does, as a badge. */
export function nodeBadge(state: NodeState): Html {
  const { symbol, word } = NODE_WORDS[state];
  return html`<span class="badge ${state}"><span aria-hidden="true">${symbol}</span> ${word}</span>`;
}

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

/** A claim's owner by its own name: the node, or for a lock taken by hand the caller or the principal. */
export function ownName({ owner, lease }: Pick<ClaimJson | RecordJson, "owner" | "lease">): string {
  // The node of a lease that was taken over HTTP is the server, which does not tell whose it is.
  return lease === null ? owner.node : (lease.caller ?? owner.principal);
}

/** A claim's owner: its own name, and by whom or where it was made. */
export function who(claim: Pick<ClaimJson | RecordJson, "owner" | "lease">): Html {
  const { owner, lease } = claim;
  const name = html`<strong>${said(ownName(claim))}</strong>`;
  if (lease === null) return html`${name} by ${said(owner.principal)}`;
  const by = ownName(claim) === owner.principal ? null : html` by ${said(owner.principal)}`;
  return html`${name}${by} on ${said(owner.node)}`;
}

/** A count with its noun: "1 lock", "2 locks". */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** Whether the claim needs somebody's help. */
export function isStuck({ condition }: Pick<ClaimJson, "condition">): boolean {
  return condition === "failed" || condition === "stale";
}

/** Whether work goes on under a claim, in whatever stage. */
export function isAtWork(condition: Condition): boolean {
  return (STAGES as readonly Condition[]).includes(condition);
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
