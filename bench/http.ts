// `npm run bench -- http`: what the server adds to the store. Locker's PUT and DELETE beside the bare coordinator, which joins,
// settles and leaves in the same way; how long a list of many claims takes; how much memory a waiter takes.
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { ClaimRecord } from "../src/locks/claim.js";
import type { Coordinator, Draft, Settled } from "../src/locks/coordinator.js";
import { takeTurn } from "../src/line/turn.js";
import { startZooKeeper } from "../test/support/zookeeper-server.js";
import { openStore } from "./holdline.js";
import { median } from "./processes.js";
import type { Begun, Connection, Served } from "./server.js";
import { openConnection, startServed } from "./server.js";
import type { Row } from "./table.js";
import { row, say, table } from "./table.js";

const CONNECTIONS = [1, 10, 100];
/** How often each runs, in turn with the other. Ratios are taken within a turn, and the middle one counts. */
const ROUNDS = 3;
/** Long enough for a few hundred pairs on the slowest disk. The first part does not count. */
const PAIRS_MS = 3_000;
const WARM_UP_MS = 1_000;

const LOCKS = 1_000;
const CLAIMS_OF_EACH = 10;
/** How many at a time. */
const JOINED_TOGETHER = 50;
const LISTED = Array.from({ length: LOCKS }, (_, index) => `listed-${String(index).padStart(4, "0")}`);
const LISTINGS = 100;
const WAITERS = 1_000;
const HELD_LOCKS = 100;
const LOOK_EVERY_MS = 250;

type Measure = (served: Served, coordinator: Coordinator) => Promise<Row[]>;

await bench(process.argv[3]);

/** @param chosen only this store: `npm run bench -- http zookeeper` */
async function bench(chosen: string | undefined): Promise<void> {
  const zookeeper = await startZooKeeper();
  const folder = mkdtempSync(join(tmpdir(), "holdline-bench-"));
  const stores = [
    { name: "SQLite", url: (part: string) => `sqlite://${join(folder, `${part}.db`)}` },
    { name: "ZooKeeper", url: (part: string) => `zookeeper://${zookeeper.address}/bench-${part}` },
  ];
  const rows: Row[] = [];
  try {
    for (const { name, url } of stores.filter(({ name }) => chosen === undefined || chosen === name.toLowerCase())) {
      const stateDir = join(folder, name);
      mkdirSync(stateDir);
      const on = async (part: string, measure: Measure, prepare?: (coordinator: Coordinator) => Promise<void>): Promise<void> => {
        say(`${name}: ${part}`);
        const place = url(part.replaceAll(" ", "-"));
        const coordinator = await openStore(place);
        await prepare?.(coordinator);
        const served = await startServed(place, stateDir);
        try {
          const found = await measure(served, coordinator);
          for (const { figure, result, remark } of found)
            process.stdout.write(`${JSON.stringify({ store: name, figure, result, remark })}\n`);
          rows.push(...found.map((one) => ({ ...one, figure: `${name}: ${one.figure}` })));
        } finally {
          await served.stop();
          await coordinator.close();
        }
      };
      await on("pairs", pairRows);
      await on("listing", listingRows, fill);
      await on("event streams", streamRows);
      await on("long polls", pollRows);
    }
    process.stdout.write(`\n${table(rows)}\n`);
  } finally {
    await zookeeper.close();
    rmSync(folder, { recursive: true });
  }
}

async function pairRows({ url }: Served, coordinator: Coordinator): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of CONNECTIONS) {
    const connections = Array.from({ length: count }, () => openConnection(url));
    const rounds: { http: number; bare: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const bare = await perSecond(count, (index) => pairBare(coordinator, `bare-${index}`));
      const http = await perSecond(count, (index) => pairOver(connections[index] as Connection, `http-${index}`));
      rounds.push({ http, bare });
    }
    for (const connection of connections) connection.close();
    const [http, bare] = [median(rounds.map((round) => round.http)), median(rounds.map((round) => round.bare))];
    const ratio = median(rounds.map((round) => round.bare / round.http));
    const remark = `${http.toFixed(0)} per s; bare ${bare.toFixed(0)} per s`;
    rows.push(row(`PUT + DELETE, ${count} connection${count === 1 ? "" : "s"}: time / bare`, ratio, null, remark));
  }
  return rows;
}

/** How many pairs a second this many clients make together, each with a lock of its own and one pair after the other. */
async function perSecond(count: number, pair: (index: number) => Promise<void>): Promise<number> {
  const started = performance.now();
  let pairs = 0;
  const loop = async (index: number): Promise<void> => {
    for (;;) {
      await pair(index);
      const passed = performance.now() - started;
      if (passed > WARM_UP_MS + PAIRS_MS) return;
      if (passed > WARM_UP_MS) pairs += 1;
    }
  };
  await Promise.all(Array.from({ length: count }, (_, index) => loop(index)));
  return pairs / (PAIRS_MS / 1_000);
}

async function pairOver(connection: Connection, lock: string): Promise<void> {
  const body = { key: "bench", requestor: "bench" };
  await connection.ask("PUT", `/lock/${lock}`, body);
  await connection.ask("DELETE", `/lock/${lock}`, body);
}

async function pairBare(coordinator: Coordinator, lock: string): Promise<void> {
  const { draft, settled } = await takeBare(coordinator, [lock]);
  const outcome = await coordinator.leave(draft.id, settled.entries, { event: "released", by: "bench", reason: null });
  if (outcome !== "done") throw new Error(`the claim was not released: ${outcome}`);
}

async function takeBare(coordinator: Coordinator, locks: readonly string[]): Promise<{ draft: Draft; settled: Settled }> {
  const owner = { node: "bench", principal: "bench", action: null, process: null };
  const lease = { type: "lease" as const, caller: "bench", path: null, locks };
  const slots = Number.POSITIVE_INFINITY;
  const draft: Draft = { id: randomUUID(), locks, key: "bench", slots, owner, reason: null, data: null, settles: true, lease };
  const turn = await takeTurn(coordinator, draft, { signal: new AbortController().signal });
  if (turn.outcome !== "granted") throw new Error("a wait without an end has ended");
  const record: ClaimRecord = {
    owner,
    key: "bench",
    slots,
    made: null,
    lease,
    expiresAt: null,
    reason: null,
    data: null,
    failure: null,
  };
  return { draft, settled: await coordinator.settle(draft, turn.joined, record) };
}

/** Runs before the server starts, since the server would follow each step. */
async function fill(coordinator: Coordinator): Promise<void> {
  for (let claim = 0; claim < CLAIMS_OF_EACH; claim += 1)
    for (let at = 0; at < LOCKS; at += JOINED_TOGETHER) await takeBare(coordinator, LISTED.slice(at, at + JOINED_TOGETHER));
}

async function listingRows({ url, rssKb }: Served, coordinator: Coordinator): Promise<Row[]> {
  const connection = openConnection(url);
  const list = async (): Promise<number> => {
    const started = performance.now();
    const pools = JSON.parse(await connection.ask("GET", "/locks")) as object;
    const took = performance.now() - started;
    if (Object.keys(pools).length !== LOCKS) throw new Error(`${Object.keys(pools).length} locks are listed`);
    return took;
  };
  await list();
  const still: number[] = [];
  for (let index = 0; index < LISTINGS; index += 1) still.push(await list());
  const changing: number[] = [];
  for (let index = 0; index < LISTINGS; index += 1) {
    await takeBare(coordinator, LISTED.slice(index, index + 1));
    changing.push(await list());
  }
  connection.close();
  const claims = LOCKS * CLAIMS_OF_EACH;
  const memory = `the server takes ${mebibytes(rssKb())} MiB`;
  return [
    row(
      `GET /locks, ${claims} claims: p99 in ms`,
      quantile(still, 0.99),
      null,
      `p50 ${quantile(still, 0.5).toFixed(1)} ms; ${memory}`,
    ),
    row(
      "the same, one more claim before each: p99 in ms",
      quantile(changing, 0.99),
      null,
      `p50 ${quantile(changing, 0.5).toFixed(1)} ms`,
    ),
  ];
}

async function streamRows({ url, rssKb }: Served): Promise<Row[]> {
  const before = await warmMemory(url, rssKb);
  const connections = Array.from({ length: WAITERS }, () => openConnection(url));
  const begun = connections.map((connection) => connection.begin("GET", "/v1/events"));
  for (const { answered } of begun) {
    const response = await answered;
    if (response.statusCode !== 200) throw new Error(`a stream was answered with ${response.statusCode}`);
    response.on("error", () => undefined).resume();
  }
  const after = rssKb();
  for (const { end } of begun) end();
  for (const connection of connections) connection.close();
  return [memoryRow(WAITERS, "event streams", before, after)];
}

async function pollRows({ url, rssKb }: Served, coordinator: Coordinator): Promise<Row[]> {
  const before = await warmMemory(url, rssKb);
  const locks = Array.from({ length: HELD_LOCKS }, (_, index) => `held-${index}`);
  const held = await takeBare(coordinator, locks);
  const connections = Array.from({ length: WAITERS }, () => openConnection(url));
  const begun: Begun[] = [];
  const ends: Promise<void>[] = [];
  const early: string[] = [];
  const isIn = async (): Promise<boolean> => (await waitersOf(coordinator, locks)) >= begun.length;
  for (const [index, connection] of connections.entries()) {
    const one = connection.begin("POST", "/v1/leases", { lock: locks[index % HELD_LOCKS], wait: "9 min", ttl: "10 min" });
    begun.push(one);
    ends.push(
      one.answered.then(
        ({ statusCode }) => void early.push(String(statusCode)),
        (error: Error) => void early.push(error.message),
      ),
    );
    // With more at once, a busy server would not read the last of them within the time that a request may take.
    while (begun.length % JOINED_TOGETHER === 0 && early.length === 0 && !(await isIn())) await pause(LOOK_EVERY_MS);
    if (early.length > 0) break;
  }
  const waiting = begun.length - early.length;
  if (early.length > 0) say(`with ${waiting} long polls one was ended early: ${early.join(", ")}`);
  const after = rssKb();
  for (const { end } of begun) end();
  await Promise.all(ends);
  for (const connection of connections) connection.close();
  await coordinator.leave(held.draft.id, held.settled.entries, { event: "released", by: "bench", reason: null });
  return [memoryRow(waiting, "long polls", before, after)];
}

async function waitersOf(coordinator: Coordinator, locks: readonly string[]): Promise<number> {
  const queues = await Promise.all(locks.map((lock) => coordinator.queue(lock)));
  return queues.reduce((sum, queue) => sum + queue.length - 1, 0);
}

/** The server's memory in KiB once it has loaded everything that it answers with. */
async function warmMemory(url: string, rssKb: () => number): Promise<number> {
  const connection = openConnection(url);
  for (let index = 0; index < 20; index += 1) await pairOver(connection, "warm");
  await connection.ask("GET", "/v1/locks");
  connection.close();
  return rssKb();
}

function memoryRow(count: number, what: string, before: number, after: number): Row {
  const each = ((after - before) / count).toFixed(0);
  return row(
    `${count} ${what}: the server's memory in MiB`,
    mebibytes(after),
    null,
    `${mebibytes(before)} MiB before; ${each} KiB each`,
  );
}

function mebibytes(kb: number): number {
  return Math.round(kb / 1_024);
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
