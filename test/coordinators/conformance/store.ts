// What the conformance suite needs of a store: sessions on it, processes of their own, and the faults that it can have.
// One is made for each test. Also the drafts, records and shorthands that all parts of the suite use.
import { afterEach, beforeEach } from "vitest";
import type { Claim, ClaimRecord, Lease, Owner } from "../../../src/locks/claim.js";
import type {
  Coordinator,
  CoordinatorOptions,
  Draft,
  Ending,
  EntryRef,
  Joined,
  JustSettled,
  Settled,
  QueuePosition,
} from "../../../src/locks/coordinator.js";
import type { Contender, ContenderTask } from "../../support/contenders.js";
import { noteClosed, noteOpen } from "../../support/leaks.js";
import { freshId } from "../../support/roots.js";
import { until } from "../../support/wait.js";

/** What can be asked of a coordinator and go wrong on the way. */
export type Operation = "join" | "settle" | "adopt" | "update" | "leave";

/** A request or a reply that is kept back. */
export interface HeldBack {
  readonly caught: Promise<unknown>;
  release(): void;
}

/** What can happen between one coordinator and its store. */
export interface Faults {
  /** The next such request for this claim takes effect, and its reply is lost with the connection. Resolves when it has happened. */
  loseReply(operation: Operation, claim: string): Promise<unknown>;
  /** The next such request for this claim is lost with the connection before it takes effect. */
  loseRequest(operation: Operation, claim: string): Promise<unknown>;
  /** The next such request for this claim, and all after it, waits on its way to the store. */
  holdRequest(operation: Operation, claim: string): HeldBack;
  /** Ends the connection; a new one may be made. */
  cut(): Promise<void>;
  /** Ends the connection and refuses new ones until `serve`. */
  refuse(): Promise<void>;
  serve(): Promise<void>;
  /** Connections stay open and nothing passes, until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Ends the session in the store, whatever its owner does. Resolves when it has ended. */
  expireSession(): Promise<void>;
}

/** One session on the store. */
export interface Member {
  readonly coordinator: Coordinator;
  /** `null` where the store has nothing between it and its clients. */
  readonly faults: Faults | null;
}

/** A store of a test's own, empty. */
export interface TestStore {
  /** Opens another session. The suite closes it. */
  open(options?: Partial<CoordinatorOptions>): Promise<Member>;
  /** Starts a process of its own that contends on this store. The suite ends it. */
  startContender(task: ContenderTask): Promise<Contender>;
  /** Puts something unreadable at the end of a lock's queue, as somebody else might. */
  plantGarbageClaim(lock: string): Promise<void>;
  /** Puts something unreadable into a lock's history. */
  plantGarbageHistory(lock: string): Promise<void>;
  /** Ways in which the store cannot be reached, each an attempt to open it with a connect timeout. Empty where there are none of the network's. */
  unreachable(): Promise<Readonly<Record<string, (connectTimeoutMs: number) => Promise<unknown>>>>;
  close(): Promise<void>;
}

export interface StoreUnderTest {
  open(): Promise<TestStore>;
  /** Does a member have faults? Then the suite tests what a coordinator does about them. */
  readonly hasFaults: boolean;
  /** Within this time at most others know that a process is gone. */
  readonly goneWithinMs: number;
}

/** The running test's store and its sessions. */
export interface Stage {
  readonly store: TestStore;
  /** Another session, and nothing about its faults. */
  open(options?: Partial<CoordinatorOptions>): Promise<Coordinator>;
  member(options?: Partial<CoordinatorOptions>): Promise<Member>;
  /** A session whose faults the test is about. */
  faulty(options?: Partial<CoordinatorOptions>): Promise<{ readonly coordinator: Coordinator; readonly faults: Faults }>;
  contender(task: ContenderTask): Promise<Contender>;
}

/** Gives each test of the enclosing `describe` a store, and closes after it whatever it has opened there. */
export function stageFor(subject: StoreUnderTest): Stage {
  let store: TestStore | null = null;
  let members: Member[] = [];
  let contenders: Contender[] = [];
  beforeEach(async () => {
    store = await subject.open();
  });
  afterEach(async () => {
    for (const { faults } of members) faults?.thaw();
    for (const { faults } of members) await faults?.serve();
    await Promise.all(contenders.map((contender) => contender.kill()));
    for (const { coordinator } of members) {
      await coordinator.close();
      noteClosed(coordinator);
    }
    members = [];
    contenders = [];
    await store?.close();
    store = null;
  });
  const current = (): TestStore => {
    if (store === null) throw new Error("there is a store only while a test runs");
    return store;
  };
  const member = async (options?: Partial<CoordinatorOptions>): Promise<Member> => {
    const opened = await current().open(options);
    noteOpen(opened.coordinator, "a coordinator");
    members.push(opened);
    return opened;
  };
  return {
    get store() {
      return current();
    },
    member,
    open: async (options) => (await member(options)).coordinator,
    faulty: async (options) => {
      const { coordinator, faults } = await member(options);
      if (faults === null) throw new Error("this store has no faults to test");
      return { coordinator, faults };
    },
    contender: async (task) => {
      const contender = await current().startContender(task);
      contenders.push(contender);
      return contender;
    },
  };
}

/** The coordinator's options in tests. */
export const TEST_OPTIONS: CoordinatorOptions = {
  connectTimeoutMs: 10_000,
  // Long enough that a busy machine loses no session by itself, short enough that a test can wait for an expiry.
  sessionTimeoutMs: 4_000,
  historyKeep: 100,
  sleepTimeMs: 50,
  log: testLog(),
};

function testLog(): CoordinatorOptions["log"] {
  const print = (level: string) => (details: object, message: string) => {
    if (process.env["HOLDLINE_TEST_LOG"] !== undefined) console.error(level, message, JSON.stringify(details));
  };
  return { debug: print("debug"), info: print("info"), warn: print("warn"), error: print("error") };
}

export function ownerAt(node: string): Owner {
  const process = {
    bootId: "7c5d8a5e-0000-4000-8000-000000000000",
    pidNamespace: "pid:[4026531836]",
    pid: 4242,
    startTicks: 987_654,
  };
  return { node, principal: `deploy@${node}`, action: "restart-nginx", process };
}

/** A draft for one or several locks. */
export function draftFor(locks: string | readonly string[], details: Partial<Draft> = {}): Draft {
  return {
    id: freshId(),
    locks: typeof locks === "string" ? [locks] : locks,
    key: null,
    slots: 1,
    owner: ownerAt("web-01"),
    reason: null,
    data: null,
    settles: true,
    lease: null,
    ...details,
  };
}

/** The record of a draft's claim when it becomes durable. */
export function recordFor(draft: Draft, details: Partial<ClaimRecord> = {}): ClaimRecord {
  const { key, slots, owner, reason, data, lease } = draft;
  const made = { bootId: "7c5d8a5e-0000-4000-8000-000000000000", ticks: 1_000_000, wallMs: 1_700_000_000_000 };
  return { owner, key, slots, made, lease, expiresAt: null, reason, data, failure: null, ...details };
}

/** What makes a claim on these locks a person's. */
export function leaseOn(locks: readonly string[], details: Partial<Lease> = {}): Lease {
  return { type: "lease", caller: null, path: null, locks, ...details };
}

/** A claim that has been joined and settled. */
export interface Taken {
  readonly draft: Draft;
  readonly joined: Joined;
  readonly settled: JustSettled;
}

export async function takeDurably(
  coordinator: Coordinator,
  locks: string | readonly string[],
  details?: Partial<Draft>,
): Promise<Taken> {
  const draft = draftFor(locks, details);
  const joined = await coordinator.join(draft);
  const settled = await coordinator.settle(draft, joined, recordFor(draft));
  return { draft, joined, settled };
}

export const RELEASED: Ending = { event: "released", by: "deploy@web-01", reason: null };

/** What a conditional write that succeeded has made of a claim. */
export function settledOf(outcome: Settled | "gone" | "changed"): Settled {
  if (typeof outcome === "string") throw new Error(`the write's outcome was "${outcome}"`);
  return outcome;
}

/** The only standing of a claim on one lock. */
export function only(joined: Joined): QueuePosition {
  if (joined.positions.length !== 1) throw new Error(`${joined.positions.length} standings, expected one`);
  return joined.positions[0] as QueuePosition;
}

export function onlyEntry(settled: Settled): EntryRef {
  if (settled.entries.length !== 1) throw new Error(`${settled.entries.length} entries, expected one`);
  return settled.entries[0] as EntryRef;
}

export function entryOf({ lock, ref, revision }: EntryRef): EntryRef {
  return { lock, ref, revision };
}

/** The ids in a lock's queue, in order. */
export async function idsIn(coordinator: Coordinator, lock: string): Promise<readonly string[]> {
  return (await coordinator.queue(lock)).map(({ id }) => id);
}

/** The only claim in a lock's queue. */
export async function claimIn(coordinator: Coordinator, lock: string): Promise<Claim> {
  const queue = await coordinator.queue(lock);
  if (queue.length !== 1) throw new Error(`${queue.length} claims on ${lock}, expected one`);
  return queue[0] as Claim;
}

export async function untilEmpty(coordinator: Coordinator, lock: string, deadlineMs?: number): Promise<void> {
  const looked = async (): Promise<boolean> => (await coordinator.queue(lock)).length === 0;
  await until(
    looked,
    deadlineMs === undefined ? `the queue of ${lock} to be empty` : { what: `the queue of ${lock} to be empty`, deadlineMs },
  );
}
