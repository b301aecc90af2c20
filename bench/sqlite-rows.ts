// The table's rows on SQLite's locks.
import { type Ground, inTurn, medianOf, ratioOf } from "./rounds.js";
import type { S1Figures, S2Figures } from "./sqlite.js";
import { type Row, row } from "./table.js";

/** A process that gets less than half of its share is kept from the lock by the others. In a queue each gets nearly all of it. */
const STARVATION = 2;

export async function sqliteRows(ground: Ground): Promise<Row[]> {
  const { processes } = ground.scale;
  const peers = ["bare-sqlite", "holdline-sqlite", "bare-sqlite-durable", "holdline-sqlite-durable"];
  const alone = await inTurn<S1Figures>(ground, peers, ["s1"]);
  const crowds = await inTurn<S2Figures>(ground, ["holdline-sqlite", "holdline-sqlite-durable"], ["s2", String(processes)]);
  const p50 = (peer: string): string => `${medianOf(alone, peer, ({ p50_us }) => p50_us)} µs`;
  return (["", "-durable"] as const).flatMap((kind) => {
    const [own, bare] = [`holdline-sqlite${kind}`, `bare-sqlite${kind}`];
    const words = kind === "" ? "ephemeral" : "durable";
    const middle = (figure: (figures: S2Figures) => number): number => medianOf(crowds, own, figure);
    const share = (part: number): string => `${(100 * part).toFixed(1)} %`;
    const remark = [
      `${middle(({ acq_per_s }) => acq_per_s)} per s in all`,
      `the slowest ${share(middle(({ slowest_share }) => slowest_share))} of them, ${share(1 / processes)} would be fair`,
      `longest wait ${middle(({ longest_wait_ms }) => longest_wait_ms)} ms`,
    ];
    return [
      row(
        `SQLite, ${words} acquire + release / bare transactions, p50`,
        ratioOf(alone, own, bare, ({ p50_us }) => p50_us),
        1.3,
        `${p50(own)}; bare ${p50(bare)}`,
      ),
      row(
        `SQLite, ${words}, ${processes} processes: fair share / the slowest's`,
        middle(({ n, slowest_n }) => n / processes / slowest_n),
        STARVATION,
        remark.join("; "),
      ),
    ];
  });
}
