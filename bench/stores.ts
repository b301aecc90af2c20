// `npm run bench -- stores [NAME…]`: every store side by side, or those that are named. What a lock costs is held against the bare writes
// under it and against what a user would pick instead, and a command's start against its start on ZooKeeper. With --quick it only shows
// that everything runs; with --strict it fails when an aim is missed by more than a tenth.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median, timeProcesses } from "./processes.js";
import {
  FLOOR,
  measure,
  OWN,
  requestsForHandOff,
  type Sizes,
  type Task,
  timeAlone,
  timeHandOff,
  type Who,
} from "./stores/measures.js";
import type { BenchStore, Started } from "./stores/store.js";
import { type Row, row, say, table, TOLERANCE } from "./table.js";

const STORES: Readonly<Record<string, () => Promise<{ readonly store: BenchStore }>>> = {
  zookeeper: () => import("./stores/zookeeper.js"),
  sqlite: () => import("./stores/sqlite.js"),
  etcd: () => import("./stores/etcd.js"),
  postgresql: () => import("./stores/postgresql.js"),
  redis: () => import("./stores/redis.js"),
  mariadb: () => import("./stores/mariadb.js"),
};

interface Scale extends Sizes {
  /** How often each is measured, in turn with the others. Ratios are taken within a turn, and the middle one counts. */
  readonly rounds: number;
  readonly execs: number;
}

const FULL: Scale = { rounds: 5, execs: 15, iterations: 1_000, warmUp: 500, handOffs: 100, waiters: [10, 100] };

/** The least of everything. Its results mean nothing. */
const QUICK: Scale = { rounds: 1, execs: 1, iterations: 10, warmUp: 2, handOffs: 5, waiters: [10, 20] };

// Two runs of a workload of which parts come at random moments differ by as much.
const AS_MANY_REQUESTS = 1.1;
const EXEC_OVER_ZOOKEEPER = 1.3;

const [first, ...rest] = process.argv.slice(2);
if (first === "measure") {
  const task = JSON.parse(rest[0] as string) as Task;
  const { store } = await (STORES[task.store] as NonNullable<(typeof STORES)[string]>)();
  await measure(store, task);
} else {
  process.exitCode = await bench(rest);
}

async function bench(words: readonly string[]): Promise<number> {
  const scale = words.includes("--quick") ? QUICK : FULL;
  const chosen = words.filter((word) => !word.startsWith("--"));
  const unknown = chosen.find((name) => STORES[name] === undefined);
  if (unknown !== undefined) {
    process.stderr.write(`usage: npm run bench -- stores [${Object.keys(STORES).join("|")}]… [--quick] [--strict]\n`);
    return 64;
  }
  const rows: Row[] = [];
  // ZooKeeper stays: what the others' commands take is held against it.
  const zookeeper = await startedOf("zookeeper");
  try {
    for (const [name, load] of Object.entries(STORES)) {
      if (chosen.length > 0 && !chosen.includes(name)) continue;
      const { store } = await load();
      const started = name === "zookeeper" ? zookeeper : await store.start();
      if (typeof started === "string") {
        say(`${store.title} is left out: ${started}`);
        continue;
      }
      try {
        rows.push(...(await rowsOf(name, store, started, scale)));
        if (started !== zookeeper) rows.push(await execRow(store, started, zookeeper, scale));
      } finally {
        if (started !== zookeeper) await started.close();
      }
    }
  } finally {
    await zookeeper.close();
  }
  process.stdout.write(`\n${table(rows)}\n`);
  const missed = rows.filter(({ aim, result }) => aim !== null && !(result <= aim * TOLERANCE));
  return missed.length > 0 && words.includes("--strict") ? 1 : 0;
}

async function startedOf(name: "zookeeper"): Promise<Started> {
  const { store } = await (STORES[name] as NonNullable<(typeof STORES)[string]>)();
  const started = await store.start();
  if (typeof started === "string") throw new Error(`${store.title} cannot be had here: ${started}`);
  return started;
}

async function rowsOf(name: string, store: BenchStore, started: Started, scale: Scale): Promise<Row[]> {
  const rivals = Object.keys(store.rivals);
  const alone = await inTurn(`${store.title}: a free lock`, [OWN, FLOOR, ...rivals], scale, (who) =>
    timeAlone(name, started, who, scale),
  );
  const handOff = await inTurn(`${store.title}: hand-off`, [OWN, ...rivals], scale, (who) =>
    timeHandOff(name, started, who, scale),
  );
  const micros = (who: Who): string => `${median(alone.map((round) => round.get(who) as number)).toFixed(0)} µs`;
  const millis = (who: Who): number => median(handOff.map((round) => round.get(who) as number));
  const over = (who: Who): number => median(alone.map((round) => (round.get(OWN) as number) / (round.get(who) as number)));
  const rows = [
    row(`${store.title}, acquire + release / two bare writes`, over(FLOOR), store.aims.alone, `${micros(OWN)}; ${micros(FLOOR)}`),
    ...rivals.map((rival) =>
      row(
        `${store.title}, acquire + release / ${rival}`,
        over(rival),
        store.rivals[rival]?.isToBeat === true ? 1 : null,
        `${micros(OWN)}; ${micros(rival)}`,
      ),
    ),
    row(
      `${store.title}, hand-off between two processes, ms`,
      millis(OWN),
      store.aims.handOffMs,
      rivals.map((rival) => `${rival} ${millis(rival).toFixed(2)}`).join("; "),
    ),
  ];
  const { openRoad } = started;
  if (openRoad === null) return rows;
  say(`${store.title}: requests`);
  const [few, many] = scale.waiters;
  const short = await requestsForHandOff(openRoad, few);
  const long = await requestsForHandOff(openRoad, many);
  const figure = `${store.title}, requests for each hand-off, ${many} waiters / ${few}`;
  rows.push(row(figure, long / short, AS_MANY_REQUESTS, `${long.toFixed(1)}; ${short.toFixed(1)}`));
  return rows;
}

/** Measures each in turn, and again; gives the figures of each turn. */
async function inTurn(
  what: string,
  all: readonly Who[],
  { rounds }: Scale,
  time: (who: Who) => Promise<number>,
): Promise<ReadonlyMap<Who, number>[]> {
  say(what);
  const turns: Map<Who, number>[] = [];
  while (turns.length < rounds) {
    const turn = new Map<Who, number>();
    for (const who of all) turn.set(who, await time(who));
    turns.push(turn);
  }
  return turns;
}

/** How long `holdline exec x -- true` takes on this store and on ZooKeeper, in turn. */
async function execRow(store: BenchStore, started: Started, zookeeper: Started, { execs }: Scale): Promise<Row> {
  say(`${store.title}: exec`);
  const folder = mkdtempSync(join(tmpdir(), "holdline-bench-"));
  try {
    const commands = [store.title, "ZooKeeper"].map((name, index) => ({
      name,
      argv: ["dist/main.cjs", "exec", "x", "--", "true"],
      env: { HOLDLINE_COORDINATOR: (index === 0 ? started : zookeeper).url, HOLDLINE_STATE_DIR: folder },
    }));
    const [own, reference] = (await timeProcesses(commands, execs)).map(({ wallMs }) => wallMs) as [number, number];
    const remark = `${own.toFixed(0)} ms; ${reference.toFixed(0)} ms`;
    return row(`${store.title}, exec x -- true / on ZooKeeper`, own / reference, EXEC_OVER_ZOOKEEPER, remark);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
