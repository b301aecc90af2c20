// A terminal's whole window, drawn anew in place: what was there before comes back when it is closed. Knows nothing of
// what it shows.
import type { Sink } from "./io.js";

export interface Screen {
  /** The room for lines: one that fills the last column could not be told from one that goes on. */
  readonly columns: number;
  /** Shows lines from the top of the window; what does not fit is left out, and counted. */
  draw(lines: readonly string[]): void;
  close(): void;
}

const TO_OTHER_BUFFER = "\x1b[?1049h\x1b[?25l";
const BACK = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const WIPE_LINE = "\x1b[2K";
const WIPE_BELOW = "\x1b[J";

/** @param more what to say of so many lines that do not fit, in so many columns */
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
      // One write, so that no half of it is ever seen; and the window's size, because it may have been wiped by another one.
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
