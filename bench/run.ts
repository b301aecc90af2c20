// `npm run bench`: a ZooKeeper of its own, every workload with Holdline beside its raw cost, and a table of figures and aims.
// With --strict it fails when an aim is missed by more than a tenth; with --quick it only shows that everything runs.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startZooKeeper } from "../test/support/zookeeper-server.js";
import { processRows, waitingRows } from "./process-rows.js";
import { drive, type Scale } from "./rounds.js";
import { sqliteRows } from "./sqlite-rows.js";
import { say, table, TOLERANCE } from "./table.js";
import { aloneRows, fleetRows, handOffRows, lineRows } from "./zookeeper-rows.js";

const FULL: Scale = {
  rounds: 5,
  processRounds: 15,
  sessions: [10, 100],
  line: 1_000,
  shortLine: 10,
  fleets: [1_000, 3_000, 10_000],
  processes: 20,
  settleMs: 3_000,
  env: {},
};

/** The least of everything. Its results mean nothing. */
const QUICK: Scale = {
  rounds: 1,
  processRounds: 1,
  sessions: [2, 3],
  line: 12,
  shortLine: 4,
  fleets: [20, 40],
  processes: 3,
  settleMs: 1_000,
  env: { ITER: "10", WARM: "2", ACQ: "12", W2_WARM: "6", S2_MS: "500" },
};

const flags = process.argv.slice(2);
process.exitCode = await bench(flags.includes("--quick") ? QUICK : FULL, flags.includes("--strict"));

async function bench(scale: Scale, strict: boolean): Promise<number> {
  const server = await startZooKeeper();
  const folder = mkdtempSync(join(tmpdir(), "holdline-bench-"));
  try {
    const ground = { scale, address: server.address, folder };
    // Java compiles what runs often. Without this, the first workload would meet a colder server than the others.
    say("warming the server up");
    await drive(ground, "bare", ["w1"]);
    const rows = [
      ...(await aloneRows(ground)),
      ...(await handOffRows(ground)),
      ...(await lineRows(ground)),
      ...(await processRows(ground)),
      ...(await waitingRows(ground)),
      ...(await fleetRows(ground)),
      ...(await sqliteRows(ground)),
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
