// `holdline pending`: shows what `resume` would do on this node and why, and does nothing; or takes an attempt back.
import type { Left } from "../../actions/pending.js";
import { readLabel } from "../../config/field.js";
import { isoTime } from "../../locks/durations.js";
import { HoldlineError } from "../../locks/errors.js";
import { quoted } from "../../locks/text.js";
import type { Command } from "../command.js";
import type { Context } from "../context.js";
import { exitCodeOfError } from "../exit-codes.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { ago, type Cell, sanitize } from "../render.js";
import { type Column, renderTable, type Row, type View, viewOf } from "../table.js";

export const pending: Command = {
  async run(context, { options }) {
    const dropped = readOption(options, "drop", readLabel, null);
    if (dropped !== null) return drop(context, dropped);
    const { left, problems } = await (await context.agent()).pending();
    for (const problem of problems) context.log.warn({}, `${problem}: claims that this node has left there are not shown`);
    if (context.json) printDocument(context.io, { pending: left.map(leftAsJson) });
    else printLines(context.io, left.length === 0 ? [nothingWords(problems)] : renderLeft(left, Date.now(), viewOf(context)));
    return problems.length === 0 ? 0 : exitCodeOfError(new HoldlineError("unreachable", problems.join("; ")));
  },
};

async function drop(context: Context, action: string): Promise<number> {
  const count = await (await context.agent()).drop(action);
  if (count === 0)
    throw new HoldlineError("nothing-there", `no attempt at ${quoted(action)} is pending on this node`, {
      hint: "holdline pending shows what is; a claim that was left ends with holdline resume, or with holdline clear",
    });
  if (context.json) printDocument(context.io, { dropped: { action, attempts: count } });
  else printLines(context.io, [`took back ${count === 1 ? "the attempt" : `${count} attempts`} at ${sanitize(action)}`]);
  return 0;
}

function leftAsJson({ action, lock, state, claim, since, attempts, message }: Left) {
  return { action, lock, state, claim, since: isoTime(since), attempts, message };
}

function nothingWords(problems: readonly string[]): string {
  return problems.length === 0 ? "nothing is pending on this node" : "nothing is pending on this node, as far as its journal knows";
}

const COLUMNS: readonly Column[] = [
  { heading: "ACTION" },
  { heading: "LOCK" },
  { heading: "STATE" },
  { heading: "SINCE", label: "since" },
  { heading: "WHY" },
];

/** What was left as lines of text. @param now milliseconds since 1970 by this node's clock */
export function renderLeft(left: readonly Left[], now: number, view: View): string[] {
  const rows = left.map(({ action, lock, state, claim, since, attempts, message, isDeclared }): Row => {
    const colour = state === "failed" ? "red" : "yellow";
    const often = attempts === null || attempts === 1 ? "" : `${attempts} attempts`;
    const undeclared = isDeclared ? [] : [`${action} is no longer declared: resume cannot finish it`];
    const notes: string[] = [...undeclared, ...(view.isExact && claim !== null ? [`claim ${claim}`] : [])];
    return {
      cells: [
        action,
        lock ?? "",
        { text: state, paint: (text) => view.paint(colour, text) },
        view.isExact ? isoTime(since) : ago(since, now),
        [message, often].filter((words) => words !== "").join("; "),
      ],
      notes: notes.map((text): Cell => ({ text, paint: (shown) => view.paint("dim", shown) })),
    };
  });
  return renderTable(COLUMNS, rows, view);
}
