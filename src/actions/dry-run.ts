// What a run of an action would do now, gate by gate, and why. Changes nothing: neither on this node nor in the store.
import type { Gate, GateAnswer } from "../gates/gate.js";
import { gatesToAsk } from "../gates/gate.js";
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { isoTime } from "../locks/durations.js";
import { isHeld } from "../locks/rule.js";
import { sanitize } from "../locks/text.js";
import type { GuardedAction } from "./action.js";
import { type ExecContext, perspectiveOn } from "./context.js";
import { askGate, type Orders } from "./gating.js";
import type { Machine, StatelessMachine } from "./machine.js";
import { slotsAsCounted } from "./percent.js";
import { isLeftover } from "./recovery.js";
import type { Outcome, Result } from "./result.js";

export interface DryContext extends Pick<ExecContext, "node" | "group" | "stop"> {
  readonly machine: StatelessMachine & Pick<Machine, "facts">;
  readonly orders: Orders;
  /** `null` where there is no store yet, or none is asked. */
  readonly coordinator: Coordinator | null;
  readonly isCoordinated: boolean;
}

/** Asks all gates that count, also those behind one that is shut, and looks who holds the lock. */
export async function dryRun(action: GuardedAction, context: DryContext): Promise<Result> {
  const { orders, coordinator, isCoordinated, stop } = context;
  const said: string[] = [];
  let shut: Exclude<GateAnswer, { readonly answer: "go" }> | null = null;
  for (const gate of gatesToAsk(orders)) {
    if (!hasGate(action, gate)) continue;
    const answer = await askGate({ action, context, orders, coordinator, isDry: true }, gate);
    said.push(`${gate}: ${answer.because}`);
    if (answer.answer !== "go") shut ??= answer;
  }
  const line = isCoordinated ? await lookAtLine(action, context) : { isFree: true, words: "it takes none" };
  stop.signal.throwIfAborted();
  said.push(`lock: ${line.words}`);
  const message = said.join("; ");
  const { name, lock } = action;
  const ofNobody = { claim: null, fencingToken: null, waitedMs: 0, ranMs: null, exitCode: null, signal: null };
  const result = { action: name, lock, outcome: outcomeOf(shut, line.isFree), coordinated: isCoordinated, ...ofNobody, message };
  if (shut?.answer !== "not-now" || shut.outcome !== "outside-window" || shut.untilMs === null) return result;
  return { ...result, nextAt: isoTime(shut.untilMs) };
}

function outcomeOf(shut: Exclude<GateAnswer, { readonly answer: "go" }> | null, isFree: boolean): Outcome {
  if (shut === null) return isFree ? "would-run" : "would-wait";
  return shut.answer === "not-needed" ? "not-needed" : shut.outcome;
}

/** Freezes are there for every action; of the others only those that it declares are worth a word. */
function hasGate({ needed, windows, blockers }: GuardedAction, gate: Gate): boolean {
  switch (gate) {
    case "needed":
      return needed !== null;
    case "window":
      return windows.length > 0;
    case "freeze":
      return true;
    case "blockers":
      return blockers.length > 0;
  }
}

/** Whether a claim that joined now would be held at once, and else who holds the lock. */
async function lookAtLine(
  action: GuardedAction,
  context: DryContext,
): Promise<{ readonly isFree: boolean; readonly words: string }> {
  const { coordinator, node, group, machine, stop } = context;
  const { lock, key } = action;
  if (coordinator === null) return { isFree: true, words: `${lock} is free, as there is no store yet` };
  const queue = await coordinator.queue(lock, stop.signal);
  const perspective = perspectiveOn(coordinator, { node, machine });
  const holders = queue.filter((_, position) => isHeld(queue, position));
  const leftover = holders.find((claim) => isLeftover(claim, action.name, perspective));
  if (leftover !== undefined)
    return { isFree: true, words: `it would take up what an earlier run has left: ${describe(leftover)}` };
  const slots = await slotsAsCounted(action, group, coordinator, stop.signal);
  if (isHeld([...queue, { key, slots }], queue.length)) return { isFree: true, words: `${lock} is free` };
  const held = holders.map(describe).join(", ");
  const ahead = queue.length - holders.length;
  return { isFree: false, words: `${lock} is held by ${held}${ahead === 0 ? "" : `, and ${ahead} wait`}` };
}

function describe({ owner, since, failure, reason }: Claim): string {
  const what = owner.action ?? owner.principal;
  const failed = failure === null ? "" : `, FAILED: ${failure.message}`;
  return sanitize(`${owner.node} (${what}) since ${isoTime(since)}${reason === null ? "" : `, ${reason}`}${failed}`);
}
