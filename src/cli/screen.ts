// Draws a terminal's whole window in place, and restores it when closed. Knows nothing of what it shows.
import type { Sink } from "./io.js";

export interface Screen {
  /** The room for lines. The last column stays free: a line that fills it looks like one that goes on. */
  readonly columns: number;
  /** Shows lines from the top of the window. Leaves out those that do not fit, and counts them. */
  draw(lines: readonly string[]): void;
  close(): void;
}

const TO_OTHER_BUFFER = "\x1b[?1049h\x1b[?25l";
const BACK = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const WIPE_LINE = "\x1b[2K";
const WIPE_BELOW = "\x1b[J";

/** @param more the line that says how many lines do not fit, in at most so many columns */
export function openScreen(sink: Sink, more: (count: number, columns: number) => string): Screen {
  let shown = "";
  sink.write(TO_OTHER_BUFFER);
  return {
    get columns() {
      return sink.columns - 1;
    },
    draw(lines) {
      const kept = sink.rows - 1;
      const fitting = lines.length <= sink.rows ? lines : [...lines.slice(0, kept), more(lines.length - kept, sink.columns - 1)];
      // One write, so that nobody sees half of it. A new window size forces a redraw, because resizing may wipe the window.
      const text = `${HOME}${fitting.map((line) => WIPE_LINE + line).join("\r\n")}${WIPE_BELOW}`;
      const now = `${sink.columns}x${sink.rows}${text}`;
      if (now !== shown) sink.write(text);
      shown = now;
    },
    close() {
      sink.write(BACK);
    },
  };
}
