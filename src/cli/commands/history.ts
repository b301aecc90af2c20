// `holdline history`: durable claims that have ended, newest first.
import type { HistoryRecord } from "../../locks/coordinator.js";
import { formatDuration } from "../../locks/durations.js";
import { parseLockName } from "../../locks/names.js";
import { readWhole } from "../../config/field.js";
import { ownerAsJson } from "../claims.js";
import type { Command } from "../context.js";
import { paintFor } from "../io.js";
import type { Paint } from "../io.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { ago, isoTime, renderColumns } from "../render.js";
import type { Cell } from "../render.js";

const DEFAULT_LIMIT = 20;
// A reader who wants more than this wants another tool.
const LARGEST_LIMIT = 100_000;

export const history: Command = {
  async run(context, { args, options }) {
    const lock = args[0] === undefined ? null : parseLockName(args[0]);
    const limit = readOption(options, "limit", (field) => readWhole(field, 1, LARGEST_LIMIT), DEFAULT_LIMIT);
    const { signal } = context.stop;
    const coordinator = await context.coordinator();
    const records = await coordinator.history(lock, limit, signal);
    if (context.json) printDocument(context.io, { history: records.map(recordAsJson) });
    else if (records.length === 0) printLines(context.io, ["no claim has ended yet"]);
    else printLines(context.io, renderHistory(records, await coordinator.now(signal), paintFor(context.io, "stdout")));
    return 0;
  },
};

/** A record as `history --json` gives it. */
export function recordAsJson(record: HistoryRecord) {
  const { lock, claim, event, by, reason } = record;
  const [claimedAt, endedAt] = [isoTime(record.claimedAt), isoTime(record.endedAt)];
  return { lock, claim, owner: ownerAsJson(record.owner), event, by, reason, claimedAt, endedAt, data: record.data ?? null };
}

const HEADINGS = ["ENDED", "LOCK", "EVENT", "NODE", "WHAT", "HELD FOR", "BY", "REASON"] as const;

/** The history as lines of text; `now` is the coordinator's. */
export function renderHistory(records: readonly HistoryRecord[], now: number, paint: Paint): string[] {
  const rows: Cell[][] = [HEADINGS.map((text) => ({ text, paint: (shown) => paint("dim", shown) }))];
  for (const record of records) {
    const colour = record.event === "failed" ? "red" : record.event === "released" ? "green" : "yellow";
    rows.push([
      ago(record.endedAt, now),
      record.lock,
      { text: record.event, paint: (shown) => paint(colour, shown) },
      record.owner.node,
      record.owner.action ?? "",
      formatDuration(Math.max(0, record.endedAt - record.claimedAt)),
      record.by,
      record.reason ?? "",
    ]);
  }
  return renderColumns(rows);
}
