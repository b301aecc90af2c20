// Text for people: its width in a terminal, columns that line up in every script, and ages. Pure functions.
import { formatDuration, isoTime } from "../locks/durations.js";
import { sanitize } from "../locks/text.js";

export { sanitize } from "../locks/text.js";

// Wide in every terminal: East Asian scripts (Unicode's width W and F) and emoji that are pictures by default.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{17000}-\u{18aff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u;
const ASCII = /^[\x20-\x7e]*$/;
const NOTHING_BUT_MARKS = /^[\p{Mn}\p{Me}\p{Cf}]*$/u;

/** The columns that a sanitized text takes in a terminal. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of charactersOf(text)) width += widthOfCharacter(character);
  return width;
}

/** A text cut to at most `columns`, with "…" at the end if anything is missing. */
export function truncate(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = "";
  let width = 0;
  for (const character of charactersOf(text)) {
    width += widthOfCharacter(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return columns < 1 ? "" : `${kept}…`;
}

/**
 * Breaks a sanitized text into lines of at most `columns`, between words; breaks a longer word at the end of the line. Drops
 * nothing but the blanks at the breaks.
 */
export function wrap(text: string, columns: number): string[] {
  const width = Math.max(1, columns);
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = "";
    }
    let rest = line === "" ? word : `${line} ${word}`;
    while (widthOf(rest) > width) {
      const head = headOf(rest, width);
      lines.push(head);
      rest = rest.slice(head.length);
    }
    line = rest;
  }
  return line === "" && lines.length > 0 ? lines : [...lines, line];
}

/** The beginning of a text that fits, but at least one character. */
function headOf(text: string, columns: number): string {
  let head = "";
  let width = 0;
  for (const character of charactersOf(text)) {
    width += widthOfCharacter(character);
    if (width > columns && head !== "") break;
    head += character;
  }
  return head;
}

function* charactersOf(text: string): Iterable<string> {
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text)) yield segment;
}

function widthOfCharacter(character: string): number {
  if (NOTHING_BUT_MARKS.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** A cell of a table: its text and, applied after measuring, its decoration. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

/** A cell's text without decoration, safe for a terminal. */
export function textOf(cell: Cell): string {
  return sanitize(typeof cell === "string" ? cell : cell.text);
}

/** A cell's text, or a part of it, with the cell's decoration. */
export function shownAs(cell: Cell, text: string): string {
  return typeof cell === "object" && text !== "" ? cell.paint(text) : text;
}

/** Rows as lines with aligned columns, two blanks apart. Sanitizes all text. */
export function renderColumns(rows: readonly (readonly Cell[])[]): string[] {
  const texts = rows.map((row) => row.map(textOf));
  const widths: number[] = [];
  for (const row of texts) {
    // A row's last cell may be of any width: nothing follows it.
    row.slice(0, -1).forEach((text, column) => (widths[column] = Math.max(widths[column] ?? 0, widthOf(text))));
  }
  return texts.map((row, index) =>
    row
      .map((text, column) => {
        const shown = shownAs(rows[index]?.[column] ?? "", text);
        const isLast = row.slice(column + 1).every((later) => later === "");
        return isLast ? shown : shown + " ".repeat((widths[column] ?? 0) - widthOf(text));
      })
      .join("  ")
      .trimEnd(),
  );
}

/** "12 min ago"; "just now" also for a moment that is still to come, because two clocks differ. */
export function ago(at: number, now: number): string {
  return now - at < 1_000 ? "just now" : `${formatDuration(now - at)} ago`;
}

/** "09:30 UTC, 12 min left", with the date if it is not today. */
export function until(at: number, now: number): string {
  const moment = isoTime(at);
  const isToday = moment.slice(0, 10) === isoTime(now).slice(0, 10);
  const shown = isToday ? moment.slice(11, 16) : `${moment.slice(0, 10)} ${moment.slice(11, 16)}`;
  return `${shown} UTC, ${formatDuration(Math.max(0, at - now))} left`;
}

/** The last line of a text that is not blank. */
export function lastLineOf(text: string): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  return lines.at(-1)?.trim() ?? "";
}
