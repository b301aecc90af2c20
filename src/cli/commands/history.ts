// `holdline history`: shows durable claims that have ended, and failures that keep their lock; newest first.
import { readChoice, readClaimId, readDurationMs, readLabel, readWhole } from "../../config/field.js";
import type { Failure } from "../../locks/claim.js";
import type { HistoryEvent, HistoryRecord } from "../../locks/history.js";
import { formatDuration, isoTime } from "../../locks/durations.js";
import { parseLockName } from "../../locks/names.js";
import { nearestTo } from "../../locks/nearest.js";
import type { Command, Invocation } from "../command.js";
import type { Context } from "../context.js";
import type { Colour } from "../io.js";
import { reasonWord, whatOf } from "../listing.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { recordAsJson } from "../../views/json.js";
import { HISTORY_EVENTS, readRecords } from "../../views/records.js";
import type { RecordFilter, SeenRecord } from "../../views/records.js";
import { ago, lastLineOf, sanitize } from "../render.js";
import type { Cell } from "../render.js";
import { renderTable, viewOf } from "../table.js";
import type { Column, Row, View } from "../table.js";

const DEFAULT_LIMIT = 20;
// For more than this, people need another tool.
const LARGEST_LIMIT = 100_000;

export const history: Command = {
  async run(context, invocation) {
    const filter = parseHistory(invocation);
    const seen = await readRecords(context, filter, context.stop.signal);
    if (context.json) printDocument(context.io, { history: seen.map(({ record }) => recordAsJson(record)) });
    else if (seen.length > 0) printLines(context.io, renderHistory(seen, viewOf(context)));
    else printLines(context.io, [isFiltered(filter) ? "no such claim is in the history" : await nothingYet(context, filter.lock)]);
    return 0;
  },
};

/** Says why there is no record. A mistyped name looks like a lock on which nothing has ended. */
async function nothingYet(context: Context, lock: string | null): Promise<string> {
  if (lock === null) return "no claim has ended yet";
  const name = sanitize(lock);
  const { signal } = context.stop;
  const coordinator = await context.coordinator(lock);
  if ((await coordinator.queue(lock, signal, 1)).length > 0) return `no claim on ${name} has ended yet`;
  const meant = nearestTo(lock, await coordinator.list(signal));
  return `nobody claims ${name}, and the history has no record of it: ${meant === null ? "holdline locks and holdline history show the known names" : `did you mean ${sanitize(meant)}?`}`;
}

/** @throws HoldlineError `usage` */
export function parseHistory({ args, options }: Invocation): RecordFilter {
  return {
    lock: args[0] === undefined ? null : parseLockName(args[0]),
    sinceMs: readOption(options, "since", (field) => readDurationMs(field, { most: Number.MAX_SAFE_INTEGER }), null),
    by: readOption(options, "by", readLabel, null),
    event: readOption(options, "event", (field) => readChoice(field, HISTORY_EVENTS), null),
    claim: readOption(options, "id", readClaimId, null),
    limit: readOption(options, "limit", (field) => readWhole(field, 1, LARGEST_LIMIT), DEFAULT_LIMIT),
  };
}

function isFiltered({ sinceMs, by, event, claim }: RecordFilter): boolean {
  return [sinceMs, by, event, claim].some((wanted) => wanted !== null);
}

const COLUMNS: readonly Column[] = [
  { heading: "ENDED" },
  { heading: "LOCK" },
  { heading: "EVENT" },
  { heading: "NODE" },
  { heading: "WHAT" },
  { heading: "HELD FOR", label: "held for" },
  { heading: "LOCKED BY", label: "locked by" },
  { heading: "ENDED BY", label: "ended by" },
  { heading: "REASON" },
];

const COLOURS: { readonly [E in HistoryEvent]: Colour } = {
  failed: "red",
  released: "green",
  cleared: "yellow",
  expired: "yellow",
  recovered: "yellow",
  frozen: "yellow",
  thawed: "green",
};

/** The history as lines of text. */
export function renderHistory(seen: readonly SeenRecord[], view: View): string[] {
  const rows = seen.map(({ record, now }): Row => {
    const { lock, event, owner, claimedAt, endedAt, by, reason } = record;
    return {
      cells: [
        view.isExact ? isoTime(endedAt) : ago(endedAt, now),
        lock,
        { text: event, paint: (shown) => view.paint(COLOURS[event], shown) },
        owner.node,
        isOfFreeze(record) ? "freeze" : whatOf({ ...record, key: null }),
        event === "frozen" ? "" : formatDuration(Math.max(0, endedAt - claimedAt)),
        owner.principal,
        by ?? "",
        event === "expired" && reason === null ? "its time was over" : (reason ?? ""),
      ],
      notes: notesOf(record, view),
    };
  });
  return renderTable(COLUMNS, rows, view);
}

function isOfFreeze({ event }: HistoryRecord): boolean {
  return event === "frozen" || event === "thawed";
}

/** The kept output of a failed command in an exact view; else its last line. */
function outputOf({ output }: Failure, view: View): string[] {
  if (output.trim() === "") return [];
  return view.isExact ? ["output:", ...output.trimEnd().split(/[\r\n]+/)] : [`last output: ${lastLineOf(output)}`];
}

function notesOf(record: HistoryRecord, view: View): Cell[] {
  const { claim, claimedAt, endedAt, lease, description, data, failure, isKept } = record;
  const notes: string[] = [];
  if (isKept) notes.push("the lock was kept");
  else if (failure !== null && failure.message !== record.reason) notes.push(`it had failed: ${failure.message}`);
  if (failure !== null) notes.push(...outputOf(failure, view));
  if (view.isExact)
    notes.push(`claim ${claim}, locked ${isoTime(claimedAt)}, ${isKept ? "failed" : "unlocked"} ${isoTime(endedAt)}`);
  if (lease?.caller) notes.push(`caller: ${lease.caller}`);
  if (lease?.path) notes.push(`path: ${lease.path}`);
  if (description !== null && description !== "") notes.push(`${reasonWord(record)}: ${description}`);
  // A freeze's data are what `freezes` shows in words.
  if (data !== null && data !== undefined && (view.isExact || !isOfFreeze(record))) notes.push(`data: ${JSON.stringify(data)}`);
  return notes.map((text) => ({ text, paint: (shown) => view.paint("dim", shown) }));
}
