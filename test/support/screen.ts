// What a terminal shows after all that a program has written to it: the little of a terminal that a program needs which
// draws whole windows in place. What it does not know is an error.

const ESCAPE = "\u001b";
const PART = new RegExp(`${ESCAPE}\\[[?\\d;]*[A-Za-z]|\\r?\\n|[^${ESCAPE}\\r\\n]+`, "g");

/** The lines of a window of that height, without what ends the drawing. Fails where the window would have scrolled. */
export function screenOf(written: string, rows: number): string[] {
  const screen: string[] = Array.from({ length: rows }, () => "");
  let row = 0;
  const begin = written.indexOf("\u001b[H");
  for (const [part] of written.slice(Math.max(0, begin)).matchAll(PART)) {
    if (part === "\u001b[H") row = 0;
    else if (part === "\u001b[2K") screen[row] = "";
    else if (part === "\u001b[J") screen.fill("", row + 1);
    else if (part.endsWith("\n")) row += 1;
    else if (!part.startsWith("\u001b")) screen[row] += part;
    if (row >= rows) throw new Error(`the window has scrolled: ${JSON.stringify(screen)}`);
  }
  return screen.map((line) => line.trimEnd());
}
