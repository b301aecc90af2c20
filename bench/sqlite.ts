// The workloads on SQLite: one process with a database of its own, and many processes that share one.
import { once } from "node:events";
import { closeSync, openSync, unlinkSync } from "node:fs";
import { lockName, peakMemory, perSecond, rounded, timeFigures } from "./figures.js";
import type { Peer } from "./peer.js";
import { startMember } from "./processes.js";
import { type Sizes, timeRounds } from "./workloads.js";

export interface S1Figures {
  readonly peer: string;
  readonly w: "s1";
  readonly n: number;
  readonly p50_us: number;
  readonly p99_us: number;
  readonly mean_us: number;
  readonly rss_kb: number;
}

export interface S2Figures {
  readonly peer: string;
  readonly w: "s2";
  readonly processes: number;
  readonly n: number;
  readonly acq_per_s: number;
  /** Acquisitions of the process that got the fewest, and their share of all. */
  readonly slowest_n: number;
  readonly slowest_share: number;
  readonly longest_wait_ms: number;
}

/** s1: one process, acquire and release. */
export async function aloneOnSqlite(peer: Peer, path: string, { iterations, warmUp }: Sizes): Promise<S1Figures> {
  const member = await peer.open(path);
  const lock = lockName("alone");
  await timeRounds(member, lock, warmUp);
  const times = await timeRounds(member, lock, iterations);
  await member.close();
  return { peer: peer.name, w: "s1", n: iterations, ...timeFigures(times), rss_kb: peakMemory() };
}

interface Share {
  readonly n: number;
  readonly longestWaitMs: number;
}

/** s2: many processes on one lock, for a given time. Each takes the lock again as soon as it has released it. */
export async function crowd(peer: Peer, path: string, processes: number, crowdMs: number): Promise<S2Figures> {
  const members = Array.from({ length: processes }, () => startMember(["s2-member"]));
  try {
    // All begin together, once all have opened the database. Otherwise the first would be ahead by the others' start.
    await Promise.all(members.map(({ next }) => next()));
    const told = members.map(({ next }) => next() as Promise<Share>);
    const lock = lockName(`crowd-${processes}`);
    for (const { child } of members) child.send({ lock, crowdMs });
    const shares = await Promise.all(told);
    const n = shares.reduce((sum, share) => sum + share.n, 0);
    const slowest = Math.min(...shares.map((share) => share.n));
    return {
      peer: peer.name,
      w: "s2",
      processes,
      n,
      acq_per_s: perSecond(n, crowdMs),
      slowest_n: slowest,
      slowest_share: rounded(slowest / Math.max(n, 1), 4),
      longest_wait_ms: Math.round(Math.max(...shares.map(({ longestWaitMs }) => longestWaitMs))),
    };
  } finally {
    for (const { child } of members) child.kill();
  }
}

/** The work of each process of {@link crowd}. */
export async function joinCrowd(peer: Peer, path: string): Promise<void> {
  const member = await peer.open(path);
  const order = once(process, "message") as Promise<[{ readonly lock: string; readonly crowdMs: number }]>;
  process.send?.("ready");
  const [{ lock, crowdMs }] = await order;
  const deadline = performance.now() + crowdMs;
  let n = 0;
  let longestWaitMs = 0;
  for (;;) {
    const asked = performance.now();
    const release = await member.acquire(lock);
    const granted = performance.now();
    longestWaitMs = Math.max(longestWaitMs, granted - asked);
    // Finds another process inside: the figures of a lock that two hold at once are worth nothing.
    closeSync(openSync(`${path}.held`, "wx"));
    unlinkSync(`${path}.held`);
    await release();
    if (granted >= deadline) break;
    n += 1;
  }
  await member.close();
  process.send?.({ n, longestWaitMs } satisfies Share);
  process.disconnect();
}
