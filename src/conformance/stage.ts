// A store that the suite is run over, and the stage that each test gets of it: sessions, processes of their own, and the
// faults that the store can have.
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { Coordinator, CoordinatorOptions } from "../locks/coordinator.js";
import type { Contender } from "./contenders.js";
import type { ContenderTask } from "./contending.js";

/** What a coordinator is asked, and what can go wrong on the way. */
export type Operation = "join" | "settle" | "adopt" | "update" | "leave" | "document";

/** A request or a reply that is kept back. */
export interface HeldBack {
  readonly caught: Promise<unknown>;
  release(): void;
}

/** What can happen between one coordinator and its store. `claim` is a claim's id; for the writing of a document its name. */
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

/** A server of the store, for all tests of the suite. */
export interface RunningServer {
  close(): Promise<void>;
}

/** @typeParam Server what `start` gives, undefined without it */
export interface StoreUnderTest<Server extends RunningServer | undefined = undefined> {
  /** Starts the store's server, once for the suite. Left out where there is none, or one that runs already. */
  start?(): Promise<Server>;
  /** A place of a test's own on the server, empty. */
  open(server: Server): Promise<TestStore>;
  /** Whether a member has faults. Then the suite tests what a coordinator does about them. */
  readonly hasFaults: boolean;
  /** Within this time at most others know that a process is gone. */
  readonly goneWithinMs: number;
}

/** What the suite knows of a store before it opens it. */
export type Abilities = Pick<StoreUnderTest, "hasFaults" | "goneWithinMs">;

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
export function stageFor<Server extends RunningServer | undefined>(subject: StoreUnderTest<Server>): Stage {
  let server: Server | undefined;
  let store: TestStore | null = null;
  let members: Member[] = [];
  let contenders: Contender[] = [];
  beforeAll(async () => {
    server = await subject.start?.();
  });
  afterAll(async () => server?.close());
  beforeEach(async () => {
    // Without a start, Server is undefined.
    store = await subject.open(server as Server);
  });
  afterEach(async () => {
    for (const { faults } of members) faults?.thaw();
    for (const { faults } of members) await faults?.serve();
    await Promise.all(contenders.map((contender) => contender.kill()));
    for (const { coordinator } of members) await coordinator.close();
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
