// What is measured on a store. Each measurement of time has processes of its own, which begin together.
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { createGuard, lockName } from "../figures.js";
import { openEphemeral } from "../holdline.js";
import type { Member } from "../peer.js";
import { median, startMember } from "../processes.js";
import { timeRounds } from "../workloads.js";
import type { BenchStore, Road, Started } from "./store.js";

/** Holdline, the floor, or the name of a rival. */
export type Who = string;
export const OWN: Who = "holdline";
export const FLOOR: Who = "floor";

export interface Sizes {
  readonly iterations: number;
  readonly warmUp: number;
  /** For each of the two processes. */
  readonly handOffs: number;
  readonly waiters: readonly [number, number];
}

// So long that the other process stands in line by then.
const HOLD_MS = 5;

/** One turn of a process with a lock: nanoseconds of the machine's clock, which all processes read alike. */
interface Turn {
  readonly askedAt: number;
  readonly grantedAt: number;
  readonly releasedAt: number;
}

const now = (): number => Number(process.hrtime.bigint());

function openOf(store: BenchStore, started: Pick<Started, "url" | "at">, who: Who): Promise<Member> {
  if (who === OWN) return openEphemeral(started.url);
  if (who === FLOOR) return store.floor(started.at);
  const rival = store.rivals[who];
  if (rival === undefined) throw new Error(`${store.title} has no rival ${who}`);
  return rival.open(started.at);
}

/** The work of a process that {@link timeAlone} or {@link timeHandOff} has started. They talk by messages. */
export async function measure(store: BenchStore, task: Task): Promise<void> {
  const member = await openOf(store, task, task.who);
  const begin = once(process, "message");
  process.send?.("ready");
  await begin;
  const figures = task.what === "alone" ? await roundsOf(member, task) : await turnsOf(member, task);
  process.send?.(figures);
  await member.close();
  process.disconnect();
}

/** What a process is to measure, on which store and where. */
export interface Task extends Pick<Started, "url" | "at"> {
  readonly what: "alone" | "turns";
  readonly store: string;
  readonly who: Who;
  readonly lock: string;
  readonly count: number;
  readonly warmUp: number;
}

async function roundsOf(member: Member, { lock, count, warmUp }: Task): Promise<number[]> {
  await timeRounds(member, lock, warmUp);
  return timeRounds(member, lock, count);
}

async function turnsOf(member: Member, { lock, count }: Task): Promise<Turn[]> {
  const turns: Turn[] = [];
  while (turns.length < count) {
    const askedAt = now();
    const release = await member.acquire(lock);
    const grantedAt = now();
    await pause(HOLD_MS);
    const releasedAt = now();
    await release();
    turns.push({ askedAt, grantedAt, releasedAt });
  }
  return turns;
}

/** So many processes that do this, and begin together once all of them are connected; gives the figures of each. */
async function measured<Figures>(task: Task, processes: number): Promise<readonly Figures[]> {
  const children = Array.from({ length: processes }, () => startMember(["measure", JSON.stringify(task)]));
  try {
    await Promise.all(children.map(({ next }) => next()));
    const told = children.map(({ next }) => next() as Promise<Figures>);
    for (const { child } of children) child.send("begin");
    return await Promise.all(told);
  } finally {
    for (const { child } of children) child.kill();
  }
}

/** One process that takes and releases a free lock: the median in microseconds. */
export async function timeAlone(store: string, started: Started, who: Who, { iterations, warmUp }: Sizes): Promise<number> {
  const { url, at } = started;
  const task: Task = { what: "alone", store, who, url, at, lock: lockName("alone"), count: iterations, warmUp };
  const [times] = (await measured<number[]>(task, 1)) as [number[]];
  return 1_000 * median(times);
}

/** Two processes that pass one lock to and fro: the median time from a release to the other's grant, in milliseconds. */
export async function timeHandOff(store: string, started: Started, who: Who, { handOffs }: Sizes): Promise<number> {
  const { url, at } = started;
  const task: Task = { what: "turns", store, who, url, at, lock: lockName("hand-off"), count: handOffs, warmUp: 0 };
  const both = await measured<Turn[]>(task, 2);
  const turns = both.flatMap((list, process) => list.map((turn) => ({ process, ...turn })));
  turns.sort((one, other) => one.grantedAt - other.grantedAt);
  const gaps = turns.slice(1).flatMap(({ process, askedAt, grantedAt }, index) => {
    const before = turns[index] as (typeof turns)[number];
    if (grantedAt < before.releasedAt) throw new Error(`two processes held ${task.lock} at once with ${who}`);
    return process !== before.process && askedAt < before.releasedAt ? [(grantedAt - before.releasedAt) / 1e6] : [];
  });
  return median(gaps);
}

// Fewer than wait in the shortest line.
const COUNTED_HAND_OFFS = 8;

/** Requests to the server for each hand-off in a line of so many, each in a session of its own. */
export async function requestsForHandOff(openRoad: () => Promise<Road>, waiters: number): Promise<number> {
  const road = await openRoad();
  const [holder, ...members] = (await Promise.all(Array.from({ length: waiters + 1 }, () => openEphemeral(road.url)))) as [
    Member,
    ...Member[],
  ];
  try {
    const lock = lockName(`line-${waiters}`);
    const guard = createGuard();
    const release = await holder.acquire(lock);
    let passed = 0;
    return await new Promise<number>((resolve, reject) => {
      let waiting = 0;
      let before = 0;
      const letGo = async (): Promise<void> => {
        before = road.requests();
        await release();
      };
      const pass = async (member: Member): Promise<void> => {
        let isCounted = false;
        const releaseOwn = await member.acquire(lock, () => {
          if (isCounted) return;
          isCounted = true;
          waiting += 1;
          if (waiting === waiters) letGo().catch(reject);
        });
        guard.enter();
        guard.leave();
        passed += 1;
        if (passed === COUNTED_HAND_OFFS) resolve((road.requests() - before) / passed);
        if (passed < COUNTED_HAND_OFFS) await releaseOwn();
      };
      // Those who are not served by then go with their sessions.
      for (const member of members)
        pass(member).catch((error: unknown) => {
          if (passed < COUNTED_HAND_OFFS) reject(error);
        });
    });
  } finally {
    await Promise.all([holder, ...members].map((member) => member.close()));
    await road.close();
  }
}
