// Judges what a fleet did, by what its actions wrote down themselves: no overlap that the rule forbids, fencing tokens in
// order, every durable claim accounted for. Pure: lines and records in, violations out.
import type { HistoryRecord } from "../../src/locks/coordinator.js";
import { isHeld } from "../../src/locks/rule.js";

/** A lock as the fleet uses it. */
export interface ChaosLock {
  readonly name: string;
  readonly slots: number;
  /** The share key of a node on this lock. */
  readonly keyOf: (node: string) => string | null;
  /** Its holders run under ephemeral claims, whose commands may be ended without a word. */
  readonly ephemeral: boolean;
}

/** A line of the log: `start LOCK NODE CLAIM TOKEN`, `end …`, or `overlap …`, which a command writes that finds another alive. */
export interface Line {
  readonly what: string;
  readonly lock: string;
  readonly node: string;
  readonly claim: string;
  readonly token: number;
}

/** Reads the log. A line that is cut off, by the killing of its writer, is left out. */
export function parseLog(text: string): Line[] {
  return text.split("\n").flatMap((line) => {
    const [what, lock, node, claim, token] = line.split(" ");
    if (what === undefined || lock === undefined || node === undefined || claim === undefined || token === undefined) return [];
    return [{ what, lock, node, claim, token: Number(token) }];
  });
}

/** Everything that is wrong with what happened on one lock, in words. */
export function judgeLock(lock: ChaosLock, lines: readonly Line[]): string[] {
  const violations: string[] = [];
  const running = new Map<string, Line>();
  const tokens = new Map<string, number>();
  let latest = 0;
  for (const line of lines.filter((one) => one.lock === lock.name)) {
    if (line.what === "overlap") violations.push(`${lock.name}: ${line.node} found another command alive`);
    if (line.what === "end") running.delete(line.claim);
    if (line.what !== "start") continue;
    // With one slot and no key the holders follow each other, and so do their tokens.
    if (lock.slots === 1 && line.token < latest)
      violations.push(`${lock.name}: ${line.node} started with the token ${line.token} after ${latest}`);
    if (line.token <= (tokens.get(line.claim) ?? -1))
      violations.push(`${lock.name}: the claim ${line.claim} was started twice with the token ${line.token}`);
    tokens.set(line.claim, line.token);
    latest = Math.max(latest, line.token);
    // The same claim again: it was adopted, and what ran under it was ended before.
    running.delete(line.claim);
    running.set(line.claim, line);
    // A command under an ephemeral claim may have been ended without a word: those tell of overlaps themselves.
    if (lock.ephemeral) continue;
    const queue = [...running.values()].map(({ node }) => ({ key: lock.keyOf(node), slots: lock.slots }));
    if (!isHeld(queue, queue.length - 1)) {
      const who = [...running.values()].map(({ node, claim }) => `${node} (${claim})`);
      violations.push(`${lock.name}: ran at once, which the rule forbids: ${who.join(", ")}`);
    }
  }
  return violations;
}

/** Every durable claim that ran must have ended once, and be told of once. */
export function judgeHistory(locks: readonly ChaosLock[], lines: readonly Line[], history: readonly HistoryRecord[]): string[] {
  const violations: string[] = [];
  const records = new Map<string, number>();
  for (const { lock, claim } of history) records.set(`${lock} ${claim}`, (records.get(`${lock} ${claim}`) ?? 0) + 1);
  for (const [which, count] of records) if (count !== 1) violations.push(`the history tells ${count} times of the end of ${which}`);
  for (const lock of locks.filter(({ ephemeral }) => !ephemeral)) {
    const claims = new Set(lines.filter((line) => line.lock === lock.name && line.what === "start").map(({ claim }) => claim));
    for (const claim of claims)
      if (!records.has(`${lock.name} ${claim}`)) violations.push(`${lock.name}: nobody knows how the claim ${claim} ended`);
  }
  return violations;
}
