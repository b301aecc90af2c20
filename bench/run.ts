// `npm run bench`: a ZooKeeper of its own, every workload with Holdline beside its raw cost, and a table of figures and aims.
// With --strict it fails where an aim is missed by more than a tenth.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startZooKeeper } from "../test/support/zookeeper-server.js";
import { median, type ProcessFigures, timeProcesses } from "./processes.js";
import { type Row, row, say, table, TOLERANCE } from "./table.js";
import type { W1Figures, W2Figures, W4Figures } from "./workloads.js";

/** Each workload is run so often with each peer, in turn; ratios are taken within a turn, and the middle one counts. */
const ROUNDS = 3;
const PROCESS_ROUNDS = 15;
const LINE = 1_000;
const driver = fileURLToPath(new URL("./driver.js", import.meta.url));
const main = fileURLToPath(new URL("../main.cjs", import.meta.url));
const bareExec = fileURLToPath(new URL("../../bench/bare-exec.mjs", import.meta.url));

process.exitCode = await bench(process.argv.includes("--strict"));

async function bench(strict: boolean): Promise<number> {
  const server = await startZooKeeper();
  const folder = mkdtempSync(join(tmpdir(), "holdline-bench-"));
  try {
    // Java compiles what it runs often: the first workload would otherwise be measured on a colder server than the others.
    say("warming the server up");
    await drive(server.address, "bare", ["w1"]);
    const rows = [
      ...(await aloneRows(server.address)),
      ...(await handOffRows(server.address)),
      ...(await processRows(server.address, folder)),
    ];
    process.stdout.write(`\n${table(rows)}\n`);
    const missed = rows.filter(({ aim, result }) => aim !== null && !(result <= aim * TOLERANCE));
    if (missed.length === 0 || !strict) return 0;
    say(`missed by more than a tenth: ${missed.map(({ figure }) => figure).join("; ")}`);
    return 1;
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
}

async function aloneRows(address: string): Promise<Row[]> {
  const rounds = await inTurn<W1Figures>(address, ["two-writes", "three-writes", "bare", "holdline", "holdline-durable"], ["w1"]);
  const ratio = (peer: string): number => ratioOf(rounds, peer, "bare", ({ p50_us }) => p50_us);
  const remark = (peer: string): string => `${medianOf(rounds, peer, ({ p50_us }) => p50_us)} µs, ${packets(rounds, peer)}`;
  return [
    row("bare create, list, delete: p50", 1, null, remark("bare")),
    row("two writes alone / bare, p50", ratio("two-writes"), null, remark("two-writes")),
    row("ephemeral acquire + release / bare, p50", ratio("holdline"), 1, remark("holdline")),
    row("three writes alone / bare, p50", ratio("three-writes"), null, remark("three-writes")),
    row("durable acquire + release / bare, p50", ratio("holdline-durable"), null, remark("holdline-durable")),
  ];
}

async function handOffRows(address: string): Promise<Row[]> {
  const ten = await inTurn<W2Figures>(address, ["bare", "holdline", "holdline-durable"], ["w2", "10"]);
  const hundred = await inTurn<W2Figures>(address, ["bare", "holdline", "holdline-durable"], ["w2", "100"]);
  const line = await inTurn<W4Figures>(address, ["bare", "holdline"], ["w4", String(LINE)]);
  const shortLine = await inTurn<W4Figures>(address, ["holdline"], ["w4", "10"]);
  const perAcquisition = (figures: { readonly acq_per_s: number }): number => 1 / figures.acq_per_s;
  const rows = ([10, 100] as const).flatMap((clients) => {
    const rounds = clients === 10 ? ten : hundred;
    const rate = (peer: string): string =>
      `${medianOf(rounds, peer, ({ acq_per_s }) => acq_per_s)} per s, ${packets(rounds, peer)}`;
    return ["holdline", "holdline-durable"].map((peer) => {
      const kind = peer === "holdline" ? "ephemeral" : "durable";
      const remark = `${rate(peer)}; bare ${rate("bare")}`;
      return row(
        `${clients} sessions, ${kind}: time per hand-off / bare`,
        ratioOf(rounds, peer, "bare", perAcquisition),
        null,
        remark,
      );
    });
  });
  const received = ({ recv_per }: W4Figures): number => recv_per;
  const gap = (peer: string): string => `${medianOf(line, peer, ({ gap_p50_us }) => gap_p50_us)} µs`;
  const memory = (peer: string): string => `${Math.round(medianOf(line, peer, ({ rss_kb }) => rss_kb) / 1024)} MiB`;
  const few = medianOf(shortLine, "holdline", received);
  const many = medianOf(line, "holdline", received);
  return [
    ...rows,
    row(
      `line of ${LINE} sessions: median gap / bare`,
      ratioOf(line, "holdline", "bare", ({ gap_p50_us }) => gap_p50_us),
      null,
      `${gap("holdline")}; bare ${gap("bare")}`,
    ),
    row(
      `line of ${LINE} sessions: peak memory / bare`,
      ratioOf(line, "holdline", "bare", ({ rss_kb }) => rss_kb),
      null,
      `${memory("holdline")}; bare ${memory("bare")}`,
    ),
    row(`server packets received per hand-off, ${LINE} waiters / 10`, many / few, 1, `${many} and ${few}`),
  ];
}

async function processRows(address: string, folder: string): Promise<Row[]> {
  say("whole processes");
  const onZooKeeper = { HOLDLINE_COORDINATOR: `zookeeper://${address}/bench`, HOLDLINE_STATE_DIR: folder, ZK: address };
  const onSqlite = { HOLDLINE_COORDINATOR: `sqlite://${join(folder, "bench.db")}`, HOLDLINE_STATE_DIR: folder };
  const figures = await timeProcesses(
    [
      { name: "node -e 0", argv: ["-e", "0"] },
      { name: "bare script", argv: [bareExec], env: onZooKeeper },
      { name: "zookeeper", argv: [main, "exec", "x", "--", "true"], env: onZooKeeper },
      { name: "sqlite", argv: [main, "exec", "x", "--", "true"], env: onSqlite },
      { name: "version", argv: [main, "--version"] },
    ],
    PROCESS_ROUNDS,
  );
  for (const figure of figures) process.stdout.write(`${JSON.stringify(figure)}\n`);
  const [node, bareScript, zookeeper, sqlite, version] = figures as [
    ProcessFigures,
    ProcessFigures,
    ProcessFigures,
    ProcessFigures,
    ProcessFigures,
  ];
  const wall = (one: ProcessFigures, other: ProcessFigures, figure: string, aim: number | null): Row =>
    row(
      `${figure} / ${other.name}, wall`,
      one.wallMs / other.wallMs,
      aim,
      `${one.wallMs.toFixed(0)} ms; ${other.wallMs.toFixed(0)} ms`,
    );
  const memory = (one: ProcessFigures, figure: string): Row => {
    const remark = `${Math.round(one.peakKb / 1024)} MiB; ${Math.round(node.peakKb / 1024)} MiB`;
    return row(`${figure} / node -e 0, peak memory`, one.peakKb / node.peakKb, null, remark);
  };
  return [
    wall(zookeeper, node, "exec x -- true on ZooKeeper", 2.5),
    wall(zookeeper, bareScript, "exec x -- true on ZooKeeper", null),
    memory(zookeeper, "exec x -- true on ZooKeeper"),
    wall(sqlite, node, "exec x -- true on SQLite", null),
    memory(sqlite, "exec x -- true on SQLite"),
    wall(version, node, "--version", null),
  ];
}

type Figures = W1Figures | W2Figures | W4Figures;
type Round<F> = ReadonlyMap<string, F>;

/** Runs a workload with each of the peers in turn, a process each time, and again; prints each line as it comes. */
async function inTurn<F extends Figures>(
  address: string,
  peers: readonly string[],
  workload: readonly string[],
): Promise<Round<F>[]> {
  say(workload.join(" "));
  const rounds: Round<F>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const figures = new Map<string, F>();
    for (const peer of peers) figures.set(peer, JSON.parse(await drive(address, peer, workload)) as F);
    rounds.push(figures);
  }
  return rounds;
}

/** One run of the driver; gives the line that it prints, after printing it. */
async function drive(address: string, peer: string, workload: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [driver, ...workload], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ZK: address, PEER: peer },
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${peer} ${workload.join(" ")} ended with ${code ?? "a signal"}`);
  process.stdout.write(output);
  return output;
}

function ratioOf<F>(rounds: readonly Round<F>[], peer: string, other: string, figure: (figures: F) => number): number {
  return median(rounds.map((round) => figure(round.get(peer) as F) / figure(round.get(other) as F)));
}

function medianOf<F>(rounds: readonly Round<F>[], peer: string, figure: (figures: F) => number): number {
  return median(rounds.map((round) => figure(round.get(peer) as F)));
}

function packets<F extends Figures>(rounds: readonly Round<F>[], peer: string): string {
  return `${medianOf(rounds, peer, ({ recv_per }) => recv_per)} packets`;
}
