// A contender of the suite: takes locks as an agent does, as far as its task says, and tells what happens.
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { takeTurn } from "../line/turn.js";
import type { ClaimRecord, Owner } from "../locks/claim.js";
import type { Coordinator, Draft } from "../locks/coordinator.js";

/** What a contender is to do. */
export interface ContenderTask {
  readonly locks: readonly string[];
  readonly key?: string | null;
  /** It takes a lease, which no process has in hand. */
  readonly isLease?: boolean;
  /** `null`: no limit. */
  readonly slots?: number | null;
  /** How far it goes before it waits to be told to leave; `all` goes the whole way by itself, `rounds` times. */
  readonly until: "opened" | "joined" | "granted" | "settled" | "all";
  readonly rounds?: number;
  /** A file. Each turn writes "+ID TOKEN" when it begins and "-ID" when it ends. */
  readonly trace?: string;
}

/** Something that a contender has said. */
export interface ContenderEvent {
  readonly event: "opened" | "joined" | "granted" | "settled" | "left" | "closed" | "failed";
  readonly [detail: string]: unknown;
}

/** How a contender is heard, and told to go on. */
export interface ContenderLine {
  readonly say: (event: ContenderEvent["event"], details: object) => void;
  readonly told: () => Promise<unknown>;
}

/** Does the task over an open coordinator and closes it. */
export async function contend(coordinator: Coordinator, task: ContenderTask, line: ContenderLine): Promise<void> {
  line.say("opened", {});
  const rounds = task.until === "all" ? (task.rounds ?? 1) : 1;
  for (let round = 0; round < rounds; round += 1) await takeOne(coordinator, task, line);
  await coordinator.close();
  line.say("closed", {});
}

async function takeOne(coordinator: Coordinator, task: ContenderTask, { say, told }: ContenderLine): Promise<void> {
  if (task.until === "opened") return void (await told());
  const draft = draftOf(task);
  if (task.until === "joined") {
    const joined = await coordinator.join(draft);
    say("joined", { claim: draft.id, refs: joined.positions.map(({ ref }) => ref) });
    await told();
    return coordinator.withdraw(joined.positions);
  }
  const turn = await takeTurn(coordinator, draft, { signal: new AbortController().signal });
  if (turn.outcome !== "granted") throw new Error("not granted");
  say("granted", { claim: draft.id });
  if (task.until === "granted") {
    await told();
    return coordinator.withdraw(turn.joined.positions);
  }
  const { owner, key, slots, reason, data, lease } = draft;
  const record: ClaimRecord = { owner, key, slots, reason, data, lease, made: null, expiresAt: null, failure: null };
  const settled = await coordinator.settle(draft, turn.joined, record);
  if (task.trace !== undefined) appendFileSync(task.trace, `+${draft.id} ${settled.fencingToken}\n`);
  say("settled", { claim: draft.id, fencingToken: settled.fencingToken });
  if (task.until !== "all") await told();
  if (task.trace !== undefined) appendFileSync(task.trace, `-${draft.id}\n`);
  const outcome = await coordinator.leave(draft.id, settled.entries, { event: "released", by: "test", reason: null });
  say("left", { outcome });
}

function draftOf(task: ContenderTask): Draft {
  const { locks, key = null } = task;
  const owner: Owner = { node: `node-${process.pid}`, principal: "test", action: null, process: null };
  return {
    id: randomUUID(),
    locks,
    key,
    slots: task.slots === null ? Number.POSITIVE_INFINITY : (task.slots ?? 1),
    owner,
    reason: null,
    data: null,
    settles: task.until !== "granted",
    lease: task.isLease === true ? { type: "lease", caller: null, path: null, locks } : null,
  };
}
