// The workloads on ZooKeeper: what they do, how they are timed, and the line of figures that they give. The same for every peer.
import { setTimeout as pause } from "node:timers/promises";
import { countPackets, createGuard, gapFigures, lockName, peakMemory, per, perSecond, timeFigures } from "./figures.js";
import type { Member, Peer } from "./peer.js";

export interface Sizes {
  /** w1 and s1: how many rounds are measured, and how many run before to warm up. */
  readonly iterations: number;
  readonly warmUp: number;
  /** w2: how many acquisitions of all sessions together are measured, and how many run before to warm up. */
  readonly acquisitions: number;
  readonly handOffWarmUp: number;
}

export interface W1Figures {
  readonly peer: string;
  readonly w: "w1";
  readonly n: number;
  readonly p50_us: number;
  readonly p99_us: number;
  readonly mean_us: number;
  readonly recv_per: number;
  readonly sent_per: number;
  readonly rss_kb: number;
}

interface HandOffFigures {
  readonly peer: string;
  readonly clients: number;
  readonly n: number;
  readonly acq_per_s: number;
  readonly gap_p50_us: number;
  readonly gap_p99_us: number;
  readonly gap_mean_us: number;
  readonly recv_per: number;
  readonly sent_per: number;
  readonly rss_kb: number;
}

export interface W2Figures extends HandOffFigures {
  readonly w: "w2";
}

export interface W4Figures extends HandOffFigures {
  readonly w: "w4";
  readonly queue_ms: number;
  readonly drain_ms: number;
}

/** How many are opened at a time: a server's backlog of connections is shorter than a thousand. */
const OPENED_TOGETHER = 50;

/** w1: one session, acquire and release. */
export async function alone(peer: Peer, address: string, { iterations, warmUp }: Sizes): Promise<W1Figures> {
  const [member] = (await openMembers(peer, address, 1)) as [Member];
  const lock = lockName("alone");
  await timeRounds(member, lock, warmUp);

  let times: number[] = [];
  const packets = await countPackets(address, async () => {
    times = await timeRounds(member, lock, iterations);
  });
  await member.close();
  return {
    peer: peer.name,
    w: "w1",
    n: iterations,
    ...timeFigures(times),
    ...per(packets, iterations),
    rss_kb: peakMemory(),
  };
}

/** Acquires and releases this often; gives how many milliseconds each pair took. */
export async function timeRounds(member: Member, lock: string, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const started = performance.now();
    const release = await member.acquire(lock);
    await release();
    times.push(performance.now() - started);
  }
  return times;
}

/** w2: many sessions on one lock. Each takes it again as soon as it has released it. */
export async function handOffs(
  peer: Peer,
  address: string,
  clients: number,
  { acquisitions, handOffWarmUp }: Sizes,
): Promise<W2Figures> {
  const members = await openMembers(peer, address, clients);
  const lock = lockName(`hand-offs-${clients}`);
  await passAround(members, lock, handOffWarmUp, 1);

  let gaps: number[] = [];
  const started = performance.now();
  let ended = started;
  const packets = await countPackets(address, async () => {
    gaps = await passAround(members, lock, acquisitions, 0);
    ended = performance.now();
  });
  await closeMembers(members);
  return {
    peer: peer.name,
    w: "w2",
    clients,
    n: acquisitions,
    acq_per_s: perSecond(acquisitions, ended - started),
    ...gapFigures(gaps),
    ...per(packets, acquisitions),
    rss_kb: peakMemory(),
  };
}

/** All members take the lock in turn until there have been `count` acquisitions; gives the gaps between them. */
async function passAround(members: readonly Member[], lock: string, count: number, holdMs: number): Promise<number[]> {
  const gaps: number[] = [];
  const guard = createGuard();
  let begun = 0;
  let releasedAt: number | null = null;
  const loop = async (member: Member): Promise<void> => {
    while (begun < count) {
      begun += 1;
      const release = await member.acquire(lock);
      if (releasedAt !== null) gaps.push(performance.now() - releasedAt);
      guard.enter();
      if (holdMs > 0) await pause(holdMs);
      guard.leave();
      releasedAt = performance.now();
      await release();
    }
  };
  await Promise.all(members.map(loop));
  return gaps;
}

/** w4: a line of waiting sessions behind a holder. When the holder releases, the whole line passes through. */
export async function line(peer: Peer, address: string, clients: number): Promise<W4Figures> {
  const [holder, ...members] = (await openMembers(peer, address, clients + 1)) as [Member, ...Member[]];
  const lock = lockName(`line-${clients}`);
  const release = await holder.acquire(lock);

  const guard = createGuard();
  const gaps: number[] = [];
  let releasedAt = 0;
  const pass = async (member: Member, onWaiting: () => void): Promise<void> => {
    const releaseOwn = await member.acquire(lock, onWaiting);
    gaps.push(performance.now() - releasedAt);
    guard.enter();
    guard.leave();
    releasedAt = performance.now();
    await releaseOwn();
  };

  const began = performance.now();
  let passed: Promise<unknown> = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    let waiting = 0;
    const passing = members.map((member) => {
      let counted = false;
      return pass(member, () => {
        if (!counted) waiting += 1;
        counted = true;
        if (waiting === members.length) resolve();
      });
    });
    passed = Promise.all(passing);
    passed.catch(reject);
  });
  const queued = performance.now();

  let drained = queued;
  let draining = queued;
  const packets = await countPackets(address, async () => {
    draining = performance.now();
    releasedAt = draining;
    await release();
    await passed;
    drained = performance.now();
  });
  await closeMembers([holder, ...members]);
  return {
    peer: peer.name,
    w: "w4",
    clients,
    n: clients,
    queue_ms: Math.round(queued - began),
    drain_ms: Math.round(drained - draining),
    acq_per_s: perSecond(clients, drained - draining),
    ...gapFigures(gaps),
    ...per(packets, clients),
    rss_kb: peakMemory(),
  };
}

async function openMembers(peer: Peer, address: string, count: number): Promise<Member[]> {
  const members: Member[] = [];
  while (members.length < count) {
    const batch = Math.min(OPENED_TOGETHER, count - members.length);
    members.push(...(await Promise.all(Array.from({ length: batch }, () => peer.open(address)))));
  }
  return members;
}

async function closeMembers(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map((member) => member.close()));
}
