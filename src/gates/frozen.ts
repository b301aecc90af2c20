// What freezes say to somebody who wants to begin. Pure.
import { isoTime } from "../locks/durations.js";
import type { Freeze } from "../locks/freezes.js";
import { quoted, sanitize } from "../locks/text.js";
import type { GateAnswer } from "./gate.js";

/** What the freezes that bind somebody (`bindingFreezes`) say to them. */
export function freezeAnswer(binding: readonly Freeze[]): GateAnswer {
  const [first, ...others] = binding;
  if (first === undefined) return { answer: "go", because: "no freeze binds it" };
  const because = `${freezeWords(first)}${others.length === 0 ? "" : `, and ${others.length} more`}`;
  // A freeze ends by the store's clock, which is not this node's.
  return { answer: "not-now", outcome: "frozen", because, untilMs: null };
}

function freezeWords({ id, by, since, until, reason }: Freeze): string {
  const end = until === null ? "" : ` until ${isoTime(until)}`;
  return `frozen by ${sanitize(by)} since ${isoTime(since)}${end}: ${quoted(reason)} (holdline thaw ${sanitize(id)})`;
}
