// Prints the results of guarded actions, for people and for programs.
import type { Outcome, Result } from "../actions/result.js";
import { formatDuration } from "../locks/durations.js";
import type { Context } from "./context.js";
import { paintFor } from "./io.js";
import type { Paint } from "./io.js";
import { printDocument, printLines } from "./output.js";
import { sanitize } from "./render.js";

/** Prints results as lines or as JSON. @param none the line for no results */
export function printResults(context: Context, results: readonly Result[], none: string): void {
  const { io, json } = context;
  if (json) printDocument(io, { results });
  else
    printLines(io, results.length === 0 ? [sanitize(none)] : results.map((result) => renderResult(result, paintFor(io, "stdout"))));
}

const WORDS: { readonly [O in Outcome]: { readonly words: string; readonly colour: "green" | "yellow" | "red" } } = {
  ran: { words: "ran", colour: "green" },
  "already-restarted": { words: "not run, already restarted", colour: "green" },
  "already-done": { words: "not run, already done", colour: "green" },
  failed: { words: "FAILED", colour: "red" },
  "not-needed": { words: "not needed", colour: "green" },
  "outside-window": { words: "not run", colour: "yellow" },
  frozen: { words: "not run", colour: "yellow" },
  blocked: { words: "not run", colour: "yellow" },
  "not-now": { words: "not now", colour: "yellow" },
  begun: { words: "begun", colour: "green" },
  "would-run": { words: "would run", colour: "green" },
  "would-wait": { words: "would wait", colour: "yellow" },
  rebooting: { words: "rebooting", colour: "yellow" },
  "timed-out": { words: "not run, timed out waiting", colour: "yellow" },
  unreachable: { words: "coordinator unreachable", colour: "red" },
};

/** One result in one line: "restart-nginx: ran in 2.1 s, after 12 s in line for restart/nginx". */
export function renderResult(result: Result, paint: Paint): string {
  const { words, colour } = WORDS[result.outcome];
  const ran =
    result.ranMs === null
      ? ""
      : result.outcome === "failed"
        ? ` after ${formatDuration(result.ranMs)}`
        : ` in ${formatDuration(result.ranMs)}`;
  const waited =
    result.outcome === "ran" && result.waitedMs >= WORTH_TELLING_MS
      ? `, after ${formatDuration(result.waitedMs)} in line for ${result.lock}`
      : "";
  const alone = result.coordinated ? "" : ", without any lock";
  const why = result.message === "" ? "" : `: ${withDistance(result)}`;
  const often = result.attempts === undefined || result.attempts === 1 ? "" : `; this was attempt ${result.attempts}`;
  return `${sanitize(result.action ?? result.lock)}: ${paint(colour, words)}${sanitize(`${result.outcome === "unreachable" ? "" : ran}${waited}${alone}${why}${often}`)}`;
}

/** The message, with how long it is until the next window opens: its time is in UTC, and few people are. */
function withDistance({ message, nextAt }: Result): string {
  if (nextAt === undefined) return message;
  const leftMs = Math.max(0, Date.parse(nextAt) - Date.now());
  return message.replace(nextAt, `${nextAt}, in ${formatDuration(leftMs)}`);
}

// Nobody notices a shorter wait.
const WORTH_TELLING_MS = 1_000;
