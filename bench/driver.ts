// Runs one workload with one peer, against the ZooKeeper that $ZK names or the database in $SQLITE, and prints one line of
// JSON, in the form that drivers for other lock libraries print too. USAGE says what it takes.
import { bare, threeWrites, twoWrites } from "./bare.js";
import { bareSqlite, bareSqliteDurable } from "./bare-sqlite.js";
import { fleet } from "./fleet.js";
import { HOLDLINE } from "./holdline.js";
import type { Peer } from "./peer.js";
import { aloneOnSqlite, crowd, joinCrowd } from "./sqlite.js";
import { alone, handOffs, line, type Sizes } from "./workloads.js";

const PEERS = [...HOLDLINE, bare, twoWrites, threeWrites, bareSqlite, bareSqliteDurable];

const namesOn = (store: Peer["store"]): string =>
  PEERS.filter((peer) => peer.store === store)
    .map(({ name }) => name)
    .join(", ");

const USAGE = `usage: ZK=host:port node bench/driver w1 | w2 CLIENTS | w4 CLIENTS | w5 CLAIMS [LOCKS]
       SQLITE=/path/to/file node bench/driver s1 | s2 PROCESSES
  w1  one session: acquire and release ($ITER rounds, 2000, after $WARM, 2000)
  w2  CLIENTS sessions on one lock ($ACQ acquisitions, 4000, after $W2_WARM, 1500)
  w4  CLIENTS sessions queued behind a holder, which pass through
  w5  one session with CLAIMS waiters on LOCKS locks (100), which pass through within $W5_MS (120000)
  s1  one process: acquire and release (as w1)
  s2  PROCESSES on one lock for $S2_MS (10000)
  $PEER: on ZooKeeper ${namesOn("zookeeper")} (holdline);
         on SQLite ${namesOn("sqlite")}
`;

process.exitCode = await drive(process.argv.slice(2));

async function drive(given: readonly string[]): Promise<number> {
  const peer = PEERS.find(({ name }) => name === (process.env["PEER"] ?? "holdline"));
  const place = process.env[peer?.store === "sqlite" ? "SQLITE" : "ZK"];
  const [workload, countText, locksText = "100"] = given;
  const measure = peer === undefined ? null : workloadOf(peer, workload, Number(countText), Number(locksText));
  if (measure === null || place === undefined) {
    process.stderr.write(USAGE);
    return 64;
  }
  const figures = await measure(place);
  if (figures !== undefined) process.stdout.write(`${JSON.stringify(figures)}\n`);
  return 0;
}

/** The line to print, or nothing. */
type Measure = (place: string) => Promise<object | void>;

function workloadOf(peer: Peer, name: string | undefined, count: number, locks: number): Measure | null {
  const isCount = Number.isSafeInteger(count) && count >= 1;
  if (peer.store === "sqlite") {
    if (name === "s1") return (path) => aloneOnSqlite(peer, path, sizes());
    if (name === "s2-member") return (path) => joinCrowd(peer, path);
    if (name === "s2" && isCount) return (path) => crowd(peer, path, count, size("S2_MS", 10_000));
    return null;
  }
  if (name === "w1") return (address) => alone(peer, address, sizes());
  if (!isCount) return null;
  if (name === "w2") return (address) => handOffs(peer, address, count, sizes());
  if (name === "w4") return (address) => line(peer, address, count);
  if (name === "w5" && Number.isSafeInteger(locks) && locks >= 1)
    return (address) => fleet(peer, address, count, { locks, deadlineMs: size("W5_MS", 120_000) });
  return null;
}

function sizes(): Sizes {
  return {
    iterations: size("ITER", 2000),
    warmUp: size("WARM", 2000),
    acquisitions: size("ACQ", 4000),
    handOffWarmUp: size("W2_WARM", 1500),
  };
}

function size(variable: string, usual: number): number {
  const value = Number(process.env[variable] ?? usual);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`$${variable} must be a whole number`);
  return value;
}
