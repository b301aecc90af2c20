// The table's rows on ZooKeeper's locks. Aims are for the ratio to the bare client in the same turn.
import type { FleetFigures } from "./fleet.js";
import { type Ground, inTurn, medianOf, ratioOf, type Round } from "./rounds.js";
import { type Row, row } from "./table.js";
import type { W1Figures, W2Figures, W4Figures } from "./workloads.js";

export async function aloneRows(ground: Ground): Promise<Row[]> {
  const rounds = await inTurn<W1Figures>(ground, ["two-writes", "three-writes", "bare", "holdline", "holdline-durable"], ["w1"]);
  const ratio = (peer: string): number => ratioOf(rounds, peer, "bare", ({ p50_us }) => p50_us);
  const remark = (peer: string): string => `${medianOf(rounds, peer, ({ p50_us }) => p50_us)} µs, ${packets(rounds, peer)}`;
  return [
    row("bare create, list, delete: p50", 1, null, remark("bare")),
    row("two writes alone / bare, p50", ratio("two-writes"), null, remark("two-writes")),
    row("ephemeral acquire + release / bare, p50", ratio("holdline"), 0.85, remark("holdline")),
    row("three writes alone / bare, p50", ratio("three-writes"), null, remark("three-writes")),
    row("durable acquire + release / bare, p50", ratio("holdline-durable"), 1.35, remark("holdline-durable")),
  ];
}

/** 1.25 times as many hand-offs a second as the bare client, as the time that one takes. */
const HAND_OFF_AIM = 1 / 1.25;

export async function handOffRows(ground: Ground): Promise<Row[]> {
  const rows: Row[] = [];
  for (const clients of ground.scale.sessions) {
    const rounds = await inTurn<W2Figures>(ground, ["bare", "holdline", "holdline-durable"], ["w2", String(clients)]);
    const rate = (peer: string): string =>
      `${medianOf(rounds, peer, ({ acq_per_s }) => acq_per_s)} per s, ${packets(rounds, peer)}`;
    for (const [peer, kind, aim] of [
      ["holdline", "ephemeral", HAND_OFF_AIM],
      ["holdline-durable", "durable", null],
    ] as const) {
      const ratio = ratioOf(rounds, peer, "bare", ({ acq_per_s }) => 1 / acq_per_s);
      rows.push(row(`${clients} sessions, ${kind}: time per hand-off / bare`, ratio, aim, `${rate(peer)}; bare ${rate("bare")}`));
    }
  }
  return rows;
}

export async function lineRows(ground: Ground): Promise<Row[]> {
  const { line: length, shortLine } = ground.scale;
  const line = await inTurn<W4Figures>(ground, ["bare", "holdline"], ["w4", String(length)]);
  const short = await inTurn<W4Figures>(ground, ["holdline"], ["w4", String(shortLine)]);
  const gap = (peer: string): string => `${medianOf(line, peer, ({ gap_p50_us }) => gap_p50_us)} µs`;
  const memory = (peer: string): string => `${Math.round(medianOf(line, peer, ({ rss_kb }) => rss_kb) / 1024)} MiB`;
  const received = ({ recv_per }: W4Figures): number => recv_per;
  const few = medianOf(short, "holdline", received);
  const many = medianOf(line, "holdline", received);
  return [
    row(
      `line of ${length} sessions: median gap / bare`,
      ratioOf(line, "holdline", "bare", ({ gap_p50_us }) => gap_p50_us),
      1,
      `${gap("holdline")}; bare ${gap("bare")}`,
    ),
    row(
      `line of ${length} sessions: peak memory / bare`,
      ratioOf(line, "holdline", "bare", ({ rss_kb }) => rss_kb),
      1.1,
      `${memory("holdline")}; bare ${memory("bare")}`,
    ),
    row(`server packets received per hand-off, ${length} waiters`, many, 3, `bare ${medianOf(line, "bare", received)}`),
    row(`server packets received per hand-off, ${length} waiters / ${shortLine}`, many / few, 1, `${many} and ${few}`),
  ];
}

/** One session with many waiters: if time grows linearly, a claim takes as long in a large fleet as in a small one. */
export async function fleetRows(ground: Ground): Promise<Row[]> {
  return [...(await rowsOfFleets(ground, 100)), ...(await rowsOfFleets(ground, 1))];
}

async function rowsOfFleets(ground: Ground, locks: number): Promise<Row[]> {
  const [first, ...others] = ground.scale.fleets;
  const run = async (claims: number) => inTurn<FleetFigures>(ground, ["holdline"], ["w5", String(claims), String(locks)]);
  const on = locks === 1 ? "on one lock" : `on ${locks} locks`;
  const each = (rounds: readonly Round<FleetFigures>[]): number => medianOf(rounds, "holdline", ({ each_us }) => each_us);
  const remark = (rounds: readonly Round<FleetFigures>[]): string => {
    const middle = (figure: (figures: FleetFigures) => number): number => medianOf(rounds, "holdline", figure);
    const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;
    const [queue, drain] = [middle(({ queue_ms }) => queue_ms), middle(({ drain_ms }) => drain_ms)];
    const [passed, claims] = [middle(({ n }) => n), middle((figures) => figures.claims)];
    const late = passed < claims ? `ONLY ${passed} PASSED IN TIME; ` : "";
    return `${late}${seconds(queue + drain)}: ${seconds(queue)} until all wait, ${seconds(drain)} until all have passed`;
  };
  const small = await run(first);
  const rows = [row(`session of ${first} waiters ${on}, the fleet passes: ms per claim`, each(small) / 1_000, null, remark(small))];
  for (const claims of others) {
    const large = await run(claims);
    rows.push(
      row(`session of ${claims} waiters ${on}: time per claim / ${first} waiters`, each(large) / each(small), null, remark(large)),
    );
  }
  return rows;
}

function packets<F extends { readonly recv_per: number }>(rounds: readonly Round<F>[], peer: string): string {
  return `${medianOf(rounds, peer, ({ recv_per }) => recv_per)} packets`;
}
