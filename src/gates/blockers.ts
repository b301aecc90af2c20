// Blockers: what they have been found to say, in words. Pure.
import { quoted, sanitize, shortened } from "../locks/text.js";
import type { GateAnswer } from "./gate.js";

/** Something that blocks the action as long as it is not all right. */
export type BlockerSettings =
  | { readonly type: "command"; readonly name: string; readonly argv: readonly string[]; readonly timeoutMs: number }
  | {
      readonly type: "prometheus";
      readonly name: string;
      readonly url: string;
      /** Regular expressions (RE2): which alerts' names block, and which of these do not; `null`: all, none. */
      readonly alerts: string | null;
      readonly ignore: string | null;
      readonly timeoutMs: number;
    };

/** What a look at a blocker has found. */
export type BlockerFact =
  /** @property problem how the command ended, other than with exit code 0; `null` where it ended so. @property line the last that it printed */
  | { readonly type: "command"; readonly name: string; readonly problem: string | null; readonly line: string }
  /** @property alerts the names of the alerts that fire and count, each once */
  | { readonly type: "prometheus"; readonly name: string; readonly alerts: readonly string[] }
  /** Prometheus could not be asked, or its answer makes no sense. */
  | { readonly type: "prometheus"; readonly name: string; readonly problem: string };

/** Which blocker to look at next, or the answer, once it is clear: the first that blocks is enough. */
export function nextBlocker(
  blockers: readonly BlockerSettings[],
  facts: readonly BlockerFact[],
): { readonly look: BlockerSettings } | { readonly answer: GateAnswer } {
  for (const fact of facts) {
    const problem = problemOf(fact);
    if (problem === null) continue;
    const because = `blocked by ${quoted(fact.name)}: ${problem}`;
    return { answer: { answer: "not-now", outcome: "blocked", because, untilMs: null } };
  }
  const look = blockers[facts.length];
  if (look !== undefined) return { look };
  const because = blockers.length === 0 ? "it has no blockers" : `free: ${blockers.map(({ name }) => quoted(name)).join(", ")}`;
  return { answer: { answer: "go", because } };
}

// A storm of alerts has hundreds.
const MOST_NAMES = 5;

// Of a line that a command has printed.
const LONGEST_LINE = 200;

function problemOf(fact: BlockerFact): string | null {
  if (fact.type === "command") {
    if (fact.problem === null) return null;
    return fact.line === "" ? fact.problem : `${fact.problem}: ${sanitize(shortened(fact.line, LONGEST_LINE))}`;
  }
  if ("problem" in fact) return fact.problem;
  const { alerts } = fact;
  if (alerts.length === 0) return null;
  const names = alerts.slice(0, MOST_NAMES).map((name) => sanitize(shortened(name, 100)));
  const more = alerts.length > MOST_NAMES ? ` and ${alerts.length - MOST_NAMES} more` : "";
  return `${alerts.length === 1 ? "an alert fires" : `${alerts.length} alerts fire`}: ${names.join(", ")}${more}`;
}
