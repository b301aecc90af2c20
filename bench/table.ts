// The table of figures at the end of a benchmark, and the words on the way there.

export interface Row {
  readonly figure: string;
  /** The ratio should be at most this; `null` for a row without an aim. */
  readonly aim: number | null;
  readonly result: number;
  /** A remark on the result. */
  readonly remark: string;
}

/** How far an aim may be missed before --strict fails: two runs on a quiet machine differ by as much. */
export const TOLERANCE = 1.1;

export function row(figure: string, result: number, aim: number | null, remark: string): Row {
  return { figure, result, aim, remark };
}

export function table(rows: readonly Row[]): string {
  const cells = [
    ["figure", "aim", "result", ""],
    ...rows.map(({ figure, aim, result, remark }) => {
      const verdict = aim === null ? "" : result <= aim ? " met" : result <= aim * TOLERANCE ? " nearly" : " MISSED";
      return [figure, aim === null ? "" : `≤ ${aim.toFixed(2)}`, `${result.toFixed(2)}${verdict}`, remark];
    }),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((line) => (line[column] as string).length)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function say(words: string): void {
  process.stderr.write(`bench: ${words}\n`);
}
