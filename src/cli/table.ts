// Tables for people: in columns or, if the terminal is too narrow, each row on lines of its own. Knows nothing of what it
// shows.
import type { Perspective } from "../line/perspective.js";
import type { Context } from "./context.js";
import type { Paint } from "./io.js";
import { paintFor } from "./io.js";
import { shownAs, textOf, widthOf, wrap } from "./render.js";
import type { Cell } from "./render.js";

/** How to show something. */
export interface View {
  readonly paint: Paint;
  /** The terminal's columns; `Infinity` if lines may have any length. */
  readonly columns: number;
  /** Whether to show exact times and ids. */
  readonly isExact: boolean;
  readonly perspective: Perspective;
}

/** How to show results on standard output. Lines are broken only for a terminal. */
export function viewOf({ io, verbose, perspective }: Pick<Context, "io" | "verbose" | "perspective">): View {
  const { isTerminal, columns } = io.stdout;
  const room = isTerminal ? columns : Number.POSITIVE_INFINITY;
  return { paint: paintFor(io, "stdout"), columns: room, isExact: verbose, perspective };
}

export interface Column {
  readonly heading: string;
  /** What precedes a value if there is no room for headings: "by". */
  readonly label?: string;
}

export interface Row {
  /** One for each column; an empty first one continues the row above. */
  readonly cells: readonly Cell[];
  /** Lines that belong to the row but not to its columns. */
  readonly notes: readonly Cell[];
}

// A narrower last column would be a strip of broken words.
const NARROWEST_LAST = 30;
const BETWEEN = "  ";
const NOTE_INDENT = 4;

/** A table as lines, none of them wider than the view. Sanitizes all text. */
export function renderTable(columns: readonly Column[], rows: readonly Row[], view: View): string[] {
  const headings: Row = {
    cells: columns.map(({ heading }) => ({ text: heading, paint: (text: string) => view.paint("dim", text) })),
    notes: [],
  };
  const all = [headings, ...rows];
  const widths = columns.map((_, column) => Math.max(...all.map(({ cells }) => widthOf(textOf(cells[column] ?? "")))));
  const last = widths.pop() ?? 0;
  const before = widths.reduce((sum, width) => sum + width + BETWEEN.length, 0);
  const room = view.columns - before;
  const isNarrow = room < Math.min(last, NARROWEST_LAST);
  return isNarrow
    ? rows.flatMap((row) => [...renderFlowing(columns, row, view.columns), ...renderNotes(row, view.columns)])
    : all.flatMap((row) => [...renderInColumns(row, widths, before, room), ...renderNotes(row, view.columns)]);
}

function renderInColumns({ cells }: Row, widths: readonly number[], before: number, room: number): string[] {
  const last = cells[widths.length] ?? "";
  const [first = "", ...more] = wrapIn(textOf(last), room);
  const ended = cells.slice(0, -1).map((cell, column) => {
    const text = textOf(cell);
    return shownAs(cell, text) + " ".repeat((widths[column] ?? 0) - widthOf(text));
  });
  const lines = [...ended, shownAs(last, first)].join(BETWEEN).trimEnd();
  return [lines, ...more.map((line) => " ".repeat(before) + shownAs(last, line))];
}

/** The cells one after another, with a new line wherever the next one does not fit. */
function renderFlowing(columns: readonly Column[], { cells }: Row, room: number): string[] {
  const isContinued = textOf(cells[0] ?? "") === "";
  const lines: string[] = [];
  let line = isContinued ? " ".repeat(BETWEEN.length) : "";
  let width = line.length;
  let isEmpty = true;
  for (const [column, cell] of cells.entries()) {
    const value = textOf(cell);
    if (value === "") continue;
    const label = columns[column]?.label;
    const text = label === undefined ? value : `${label} ${value}`;
    if (!isEmpty && width + BETWEEN.length + widthOf(text) > room) {
      lines.push(line);
      line = " ".repeat(NOTE_INDENT);
      width = NOTE_INDENT;
      isEmpty = true;
    }
    const [first = "", ...more] = wrapIn(text, room - (isEmpty ? Math.max(width, NOTE_INDENT) : width + BETWEEN.length));
    line += (isEmpty ? "" : BETWEEN) + shownAs(cell, first);
    width += (isEmpty ? 0 : BETWEEN.length) + widthOf(first);
    isEmpty = false;
    for (const part of more) {
      lines.push(line);
      line = " ".repeat(NOTE_INDENT) + shownAs(cell, part);
      width = NOTE_INDENT + widthOf(part);
    }
  }
  return isEmpty ? lines : [...lines, line];
}

/** A text in lines that fit. */
export function renderText(cell: Cell, { columns }: View): string[] {
  return wrapIn(textOf(cell), columns).map((line) => shownAs(cell, line));
}

function renderNotes({ notes }: Row, room: number): string[] {
  const indent = " ".repeat(NOTE_INDENT);
  return notes.flatMap((note) => wrapIn(textOf(note), room - NOTE_INDENT).map((line) => indent + shownAs(note, line)));
}

function wrapIn(text: string, room: number): string[] {
  return Number.isFinite(room) ? wrap(text, room) : [text];
}
