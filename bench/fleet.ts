// The workload of a whole fleet in one session: many waiters on some locks, all of which pass through. It shows how the time
// grows with the number of claims.
import { setTimeout as pause } from "node:timers/promises";
import { countPackets, createGuard, lockName, micros, peakMemory, per } from "./figures.js";
import type { Peer } from "./peer.js";

export interface FleetSizes {
  readonly locks: number;
  /** Waiters that have not passed by then count as stuck, so that the benchmark ends. */
  readonly deadlineMs: number;
}

export interface FleetFigures {
  readonly peer: string;
  readonly w: "w5";
  readonly claims: number;
  readonly locks: number;
  /** How many have passed by the deadline. */
  readonly n: number;
  readonly queue_ms: number;
  readonly drain_ms: number;
  /** Queueing and draining together, for each claim that has passed. */
  readonly each_us: number;
  readonly recv_per: number;
  readonly sent_per: number;
  readonly rss_kb: number;
}

/** w5: one session whose waiters are spread over locks that it holds itself. When it releases those, the whole fleet passes through. */
export async function fleet(
  peer: Peer,
  address: string,
  claims: number,
  { locks: lockCount, deadlineMs }: FleetSizes,
): Promise<FleetFigures> {
  const member = await peer.open(address);
  const prefix = lockName("fleet");
  const locks = Array.from({ length: lockCount }, (_, index) => ({ name: `${prefix}-${index}`, guard: createGuard() }));
  const releases = await Promise.all(locks.map(({ name }) => member.acquire(name)));

  let waiting = 0;
  let passed = 0;
  let tellThatAllWait: () => void = () => undefined;
  const allWait = new Promise<void>((resolve) => {
    tellThatAllWait = resolve;
  });
  const pass = async ({ name, guard }: (typeof locks)[number]): Promise<void> => {
    let counted = false;
    const release = await member.acquire(name, () => {
      if (!counted) waiting += 1;
      counted = true;
      if (waiting === claims) tellThatAllWait();
    });
    guard.enter();
    guard.leave();
    await release();
    passed += 1;
  };

  const began = performance.now();
  let queued = began;
  let ended = began;
  const late = pause(deadlineMs, undefined, { ref: false });
  const packets = await countPackets(address, async () => {
    const passing = Promise.all(
      Array.from({ length: claims }, (_, index) => pass(locks[index % lockCount] as (typeof locks)[number])),
    );
    await Promise.race([allWait, passing, late]);
    queued = performance.now();
    const released = Promise.all(releases.map((release) => release()));
    await Promise.race([Promise.all([released, passing]), late]);
    ended = performance.now();
    // Closing the session cuts off those who are late.
    passing.catch(() => undefined);
  });
  const n = passed;
  await member.close();
  return {
    peer: peer.name,
    w: "w5",
    claims,
    locks: lockCount,
    n,
    queue_ms: Math.round(queued - began),
    drain_ms: Math.round(ended - queued),
    each_us: micros((ended - began) / Math.max(n, 1)),
    ...per(packets, claims),
    rss_kb: peakMemory(),
  };
}
