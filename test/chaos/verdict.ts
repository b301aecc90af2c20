// Judges what a fleet did, by what its actions wrote down themselves: no overlap that the rule forbids, fencing tokens in
// order, every durable claim accounted for. Pure: lines and records in, violations out.
import type { EndEvent, HistoryRecord } from "../../src/locks/history.js";
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

/** What an agent has told of an action: it was run under this claim, with this token, and all is well. */
export interface Told {
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
  // The greatest token of those that may run together, for each such group.
  const greatest = new Map<string, Line>();
  for (const line of lines.filter((one) => one.lock === lock.name)) {
    if (line.what === "overlap") violations.push(`${lock.name}: ${line.node} found another command alive`);
    if (line.what === "end") {
      const latest = tokens.get(line.claim);
      // An adopter first ends what ran under the claim.
      if (latest !== line.token)
        violations.push(`${lock.name}: ${line.node} ended with the token ${line.token}, and had started with ${latest ?? "none"}`);
      // It was alive until now, so that all that was started since has run beside it.
      const before = [...running.keys()].indexOf(line.claim);
      if (lock.ephemeral && before >= 0) violations.push(...judgeBeside(lock, [...running.values()].slice(before)));
      running.delete(line.claim);
    }
    if (line.what !== "start") continue;
    // Of two that cannot be held together the one that was held first has the lesser token.
    const group = groupOf(lock, line);
    for (const [other, before] of greatest)
      if (other !== group && before.token >= line.token)
        violations.push(
          `${lock.name}: ${line.node} started with the token ${line.token} after ${before.node} with ${before.token}`,
        );
    if (line.token > (greatest.get(group)?.token ?? -1)) greatest.set(group, line);
    if (line.token <= (tokens.get(line.claim) ?? -1))
      violations.push(`${lock.name}: the claim ${line.claim} was started twice with the token ${line.token}`);
    tokens.set(line.claim, line.token);
    // The same claim again: it was adopted, and what ran under it was ended before.
    running.delete(line.claim);
    running.set(line.claim, line);
    // A command under an ephemeral claim may have been ended without a word: it is alive only where it still says something.
    if (lock.ephemeral) continue;
    violations.push(...judgeBeside(lock, [...running.values()]));
  }
  return violations;
}

/** These have run at once. */
function judgeBeside(lock: ChaosLock, lines: readonly Line[]): string[] {
  const queue = lines.map(({ node }) => ({ key: lock.keyOf(node), slots: lock.slots }));
  if (isHeld(queue, queue.length - 1)) return [];
  const who = lines.map(({ node, claim }) => `${node} (${claim})`);
  return [`${lock.name}: ran at once, which the rule forbids: ${who.join(", ")}`];
}

/** Those that may be held together: with the same key, in the same slots; under one claim where there is but one slot. */
function groupOf(lock: ChaosLock, { node, claim }: Line): string {
  return lock.keyOf(node) ?? (lock.slots === 1 ? claim : "slots");
}

/** What an agent tells of a run that went well must be so: under that claim and token the action started and ended. */
export function judgeTold(told: readonly Told[], lines: readonly Line[]): string[] {
  const said = new Set(lines.map(({ what, lock, node, claim, token }) => `${what} ${lock} ${node} ${claim} ${token}`));
  return told.flatMap(({ lock, node, claim, token }) =>
    ["start", "end"]
      .filter((what) => !said.has(`${what} ${lock} ${node} ${claim} ${token}`))
      .map(
        (what) => `${lock}: ${node} says that it ran under the claim ${claim} with ${token}, and the action never said "${what}"`,
      ),
  );
}

// Nobody clears anything in a chaos run, and there are no leases.
const EXPECTED_ENDS: ReadonlySet<string> = new Set(["released", "recovered", "failed"] satisfies EndEvent[]);

/** Every durable claim that ran must have ended once, and be told of once. */
export function judgeHistory(locks: readonly ChaosLock[], lines: readonly Line[], told: readonly HistoryRecord[]): string[] {
  // A claim that is kept after a failure has not ended.
  const history = told.filter(({ isKept }) => !isKept);
  const violations: string[] = [];
  const records = new Map<string, number>();
  for (const { lock, claim, event, by } of history)
    if (!EXPECTED_ENDS.has(event)) violations.push(`the history says that ${lock} ${claim} was ${event} by ${by}`);
  for (const { lock, claim } of history) records.set(`${lock} ${claim}`, (records.get(`${lock} ${claim}`) ?? 0) + 1);
  for (const [which, count] of records) if (count !== 1) violations.push(`the history tells ${count} times of the end of ${which}`);
  for (const lock of locks.filter(({ ephemeral }) => !ephemeral)) {
    const claims = new Set(lines.filter((line) => line.lock === lock.name && line.what === "start").map(({ claim }) => claim));
    for (const claim of claims)
      if (!records.has(`${lock.name} ${claim}`)) violations.push(`${lock.name}: nobody knows how the claim ${claim} ended`);
  }
  return violations;
}
