// The table's rows on whole processes: how long commands take, and how much memory a command takes while it waits for a lock.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { draftOf, openStore } from "./holdline.js";
import { type Command, median, peakWhileRunning, type ProcessFigures, timeProcesses } from "./processes.js";
import type { Ground } from "./rounds.js";
import { type Row, row, say } from "./table.js";

const main = fileURLToPath(new URL("../main.cjs", import.meta.url));
const bareExec = fileURLToPath(new URL("../../bench/bare-exec.mjs", import.meta.url));

export async function processRows({ address, folder, scale }: Ground): Promise<Row[]> {
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
    scale.processRounds,
  );
  for (const figure of figures) process.stdout.write(`${JSON.stringify(figure)}\n`);
  const [node, bareScript, zookeeper, sqlite, version] = figures as [
    ProcessFigures,
    ProcessFigures,
    ProcessFigures,
    ProcessFigures,
    ProcessFigures,
  ];
  const wall = (one: ProcessFigures, other: ProcessFigures, figure: string, aim: number): Row =>
    row(
      `${figure} / ${other.name}, wall`,
      one.wallMs / other.wallMs,
      aim,
      `${one.wallMs.toFixed(0)} ms; ${other.wallMs.toFixed(0)} ms`,
    );
  const memory = (one: ProcessFigures, figure: string): Row =>
    row(
      `${figure} / node -e 0, peak memory`,
      one.peakKb / node.peakKb,
      null,
      `${mebibytes(one.peakKb)}; ${mebibytes(node.peakKb)}`,
    );
  return [
    wall(zookeeper, bareScript, "exec x -- true on ZooKeeper", 1.25),
    wall(zookeeper, node, "exec x -- true on ZooKeeper", 1.9),
    memory(zookeeper, "exec x -- true on ZooKeeper"),
    wall(sqlite, node, "exec x -- true on SQLite", 1.6),
    memory(sqlite, "exec x -- true on SQLite"),
    wall(version, node, "--version", 1.1),
  ];
}

/** Memory of `holdline run` while another holds its lock, beside a node that has nothing to do. */
export async function waitingRows(ground: Ground): Promise<Row[]> {
  say("waiting processes");
  const rows: Row[] = [];
  for (const [store, url] of [
    ["ZooKeeper", `zookeeper://${ground.address}/bench-waiting`],
    ["SQLite", `sqlite://${join(ground.folder, "waiting.db")}`],
  ] as const) {
    const rounds: { idle: number; waiting: number }[] = [];
    for (let round = 0; round < ground.scale.rounds; round += 1) rounds.push(await waitingMemory(ground, store, url));
    process.stdout.write(`${JSON.stringify({ store, rounds })}\n`);
    const [idle, waiting] = [median(rounds.map((one) => one.idle)), median(rounds.map((one) => one.waiting))];
    const ratio = median(rounds.map((one) => one.waiting / one.idle));
    const remark = `${mebibytes(waiting)}; ${mebibytes(idle)}`;
    rows.push(row(`holdline run waiting on ${store} / idle node, peak memory`, ratio, 1.35, remark));
  }
  return rows;
}

const WAITING_LOCK = "waiting";
const QUEUED_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 50;

async function waitingMemory({ folder, scale }: Ground, store: string, url: string): Promise<{ idle: number; waiting: number }> {
  const stateDir = join(folder, `waiting-${store}`);
  mkdirSync(stateDir, { recursive: true });
  const config = join(stateDir, "holdline.yaml");
  writeFileSync(config, `coordinator: ${url}\nstate_dir: ${stateDir}\nactions: { ${WAITING_LOCK}: { command: ["true"] } }\n`);
  const idle: Command = { name: "idle node", argv: ["-e", "setInterval(() => {}, 2 ** 30)"] };
  const waiting: Command = { name: "holdline run", argv: [main, "run", "--config", config, WAITING_LOCK] };
  const settle = (): Promise<void> => pause(scale.settleMs);

  const coordinator = await openStore(url);
  try {
    const { positions: standings } = await coordinator.join(draftOf(WAITING_LOCK));
    const queued = async (): Promise<void> => {
      const deadline = performance.now() + QUEUED_WITHIN_MS;
      while ((await coordinator.queue(WAITING_LOCK)).length < 2) {
        if (performance.now() > deadline) throw new Error("the run does not stand in the queue");
        await pause(LOOK_EVERY_MS);
      }
      await settle();
    };
    const figures = { idle: await peakWhileRunning(idle, settle), waiting: await peakWhileRunning(waiting, queued) };
    await coordinator.withdraw(standings);
    return figures;
  } finally {
    await coordinator.close();
  }
}

function mebibytes(kb: number): string {
  return `${Math.round(kb / 1024)} MiB`;
}
