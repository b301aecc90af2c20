// What a receiver is sent: the event as JSON, with a `text` that a chat shows as it is. Pure, but for the time that is handed in.
import type { ClaimEvent, FreezeEvent, NotifiedEvent } from "../locks/notifier.js";
import { isoTime } from "../locks/durations.js";
import { execProgramOf } from "../locks/exec-actions.js";
import { sanitize, shortened } from "../locks/text.js";

/** The events that a receiver can ask for. `frozen` is a freeze's end as well. */
export type Topic = "failed" | "stale" | "recovered" | "cleared" | "frozen";

export function topicOf({ event }: NotifiedEvent): Topic {
  return event === "thawed" ? "frozen" : event;
}

/** @param at when it happened, in milliseconds since 1970 */
export function messageFor(told: NotifiedEvent, at: number): string {
  const { event, by } = told;
  const about = "freeze" in told ? aboutFreeze(told) : aboutClaim(told);
  return JSON.stringify({ event, at: isoTime(at), text: textOf(told), ...about, by });
}

function aboutClaim({ lock, claim, owner, reason, failure }: ClaimEvent) {
  const { action, node, group = "default", principal } = owner;
  return { lock, claim, action, node, group, principal, reason, failure: failure && aboutFailure(failure), freeze: null };
}

// A claim's failure has a time as well: this message has its own.
function aboutFailure({ exitCode, signal, message, output }: NonNullable<ClaimEvent["failure"]>) {
  return { exitCode, signal, message, output };
}

function aboutFreeze({ freeze }: FreezeEvent) {
  const { since, until, ...rest } = freeze;
  return {
    ...{ lock: null, claim: null, action: null, node: null, group: null, principal: null, reason: freeze.reason, failure: null },
    freeze: { ...rest, since: isoTime(since), until: until === null ? null : isoTime(until) },
  };
}

/** One line for people. */
export function textOf(told: NotifiedEvent): string {
  return harmless("freeze" in told ? freezeText(told) : claimText(told));
}

function claimText({ event, lock, owner, by, reason, failure }: ClaimEvent): string {
  const program = execProgramOf(owner.action);
  const what = program === null ? (owner.action ?? `the claim of ${owner.principal}`) : `exec ${program}`;
  const where = `${what} on ${owner.node} (lock ${lock})`;
  const why = reason === null ? "" : `: ${shortened(reason, LONGEST_REASON)}`;
  switch (event) {
    case "failed":
      return `FAILED: ${where}: ${failure === null ? "nobody knows why" : failureText(failure)}`;
    case "stale":
      return `STALE: ${where}: its agent is gone`;
    case "recovered":
      return `recovered: ${where}${why}`;
    case "cleared":
      return `cleared: ${where}, by ${by ?? "nobody"}${why}`;
  }
}

function failureText({ message, output }: NonNullable<ClaimEvent["failure"]>): string {
  const last = output.trimEnd().split("\n").at(-1)?.trim() ?? "";
  return last === "" ? message : `${message}; last output: ${shortened(last, LONGEST_OUTPUT)}`;
}

function freezeText({ event, freeze, by }: FreezeEvent): string {
  const { locks, node, group, reason, until } = freeze;
  const only = [group === null ? [] : `in group ${group}`, node === null ? [] : `on ${node}`].flat();
  const what = [locks.join(", "), ...only].join(" ");
  if (event === "thawed") {
    const why = by === null ? "the time of its freeze is over" : `by ${by}`;
    return `thawed: ${what}, ${why}; it was frozen: ${shortened(reason, LONGEST_REASON)}`;
  }
  const end = until === null ? "until it is thawed" : `until ${isoTime(until)}`;
  return `FROZEN: ${what}, by ${by ?? "nobody"}, ${end}: ${shortened(reason, LONGEST_REASON)}`;
}

// A line in a chat, not a page.
const LONGEST_REASON = 300;
const LONGEST_OUTPUT = 200;

/**
 * A command's output must not call a whole channel: Slack reads `<!channel>` and links in angle brackets, Mattermost and Discord
 * read `@channel` and `@everyone`. The event's other members have the texts as they are.
 */
function harmless(text: string): string {
  return sanitize(text)
    .replaceAll("<", "‹")
    .replaceAll(">", "›")
    .replace(/@(?=(?:all|channel|everyone|here)\b)/gi, "@\u200b");
}
