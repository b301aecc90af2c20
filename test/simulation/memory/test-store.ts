// The in-memory store for the conformance suite: real time, messages that arrive at once, and every fault that a
// network has. Contenders live in the test's own process, and are killed by taking their connection away.
import { appendFileSync } from "node:fs";
import type { ClaimRecord } from "../../../src/locks/claim.js";
import type { Coordinator, CoordinatorOptions, Draft } from "../../../src/locks/coordinator.js";
import { UnreachableError } from "../../../src/locks/errors.js";
import { uptimeMs } from "../../../src/uptime.js";
import { takeTurn } from "../../../src/line/turn.js";
import {
  draftFor,
  leaseOn,
  type Faults,
  type HeldBack,
  type Member,
  RELEASED,
  TEST_OPTIONS,
  type TestStore,
} from "../../coordinators/conformance/store.js";
import type { Contender, ContenderEvent, ContenderTask } from "../../support/contenders.js";
import { until } from "../../support/wait.js";
import { type MemoryCoordinator, openMemory } from "./coordinator.js";
import { Link, type Request } from "./link.js";
import { MemoryStore } from "./store.js";

/** What is to happen to the next request of its kind. */
interface Trap {
  readonly operation: string;
  readonly claim: string;
  readonly at: "request" | "reply";
  /** Lets the message go on, or has it lost. */
  spring(goOn: () => void): void;
}

export function openMemoryTestStore(): TestStore {
  // A server has a clock of its own: tests that put this process's forward mean a node's.
  const store = new MemoryStore(() => performance.timeOrigin + performance.now());
  store.onEmptied = (lock) => void setImmediate(() => store.removeFolder(lock));
  const timers = new Set<NodeJS.Timeout>();
  const after = (ms: number, run: () => void): (() => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms);
    timers.add(timer);
    return () => {
      clearTimeout(timer);
      timers.delete(timer);
    };
  };
  let members = 0;
  const open = async (given: Partial<CoordinatorOptions>, prepare: (link: Link) => void = () => undefined) => {
    const traps = new Set<Trap>();
    const link = new Link(`member ${(members += 1)}`, store, (direction, request, arrive) => {
      const goOn = (): void => void setImmediate(arrive);
      const trap = [...traps].find((candidate) => isFor(candidate, direction, request));
      if (trap === undefined) return goOn();
      traps.delete(trap);
      trap.spring(goOn);
    });
    prepare(link);
    const coordinator = await openMemory(store, link, { ...TEST_OPTIONS, ...given, uptime: uptimeMs, after, storeAfter: after });
    return { coordinator, faults: faultsOf(store, link, coordinator, traps), link };
  };
  return {
    open: (options = {}): Promise<Member> => open(options),
    startContender: async (task) => new NearContender(await open({}), task),
    plantGarbageClaim: async (lock) => store.plantGarbage(lock),
    plantGarbageHistory: async (lock) => store.plantGarbageHistory(lock),
    unreachable: async () => ({
      "connections refused": (connectTimeoutMs) => open({ connectTimeoutMs }, (link) => link.refuse()),
      "connections accepted but not answered": (connectTimeoutMs) => open({ connectTimeoutMs }, (link) => link.freeze()),
    }),
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

function isFor(trap: Trap, direction: "request" | "reply", request: Request): boolean {
  return trap.at === direction && trap.operation === request.operation && trap.claim === request.claim;
}

function faultsOf(store: MemoryStore, link: Link, coordinator: MemoryCoordinator, traps: Set<Trap>): Faults {
  const lose = (at: Trap["at"], operation: string, claim: string): Promise<unknown> =>
    new Promise((resolve) => {
      const spring = (): void => {
        link.cut();
        resolve(null);
      };
      // Not within the sending of the request itself.
      traps.add({ at, operation, claim, spring: () => void setImmediate(spring) });
    });
  return {
    loseReply: (operation, claim) => lose("reply", operation, claim),
    loseRequest: (operation, claim) => lose("request", operation, claim),
    holdRequest: (operation, claim): HeldBack => {
      let release: () => void = () => undefined;
      const caught = new Promise<unknown>((resolve) => {
        traps.add({
          at: "request",
          operation,
          claim,
          spring: (goOn) => {
            release = goOn;
            resolve(null);
          },
        });
      });
      return { caught, release: () => release() };
    },
    cut: async () => link.cut(),
    refuse: async () => link.refuse(),
    serve: async () => link.serve(),
    freeze: () => link.freeze(),
    thaw: () => link.serve(),
    expireSession: async () => store.expireSession(coordinator.session?.id ?? ""),
  };
}

let contenders = 0;

/** A contender in this process: nothing of it is left when its connection is gone. */
class NearContender implements Contender {
  readonly pid = (contenders += 1);
  readonly #coordinator: MemoryCoordinator;
  readonly #said: ContenderEvent[] = [];
  readonly #told: Promise<void>;
  readonly #done: Promise<void>;
  #tell: () => void = () => undefined;

  constructor({ coordinator }: { coordinator: MemoryCoordinator }, task: ContenderTask) {
    this.#coordinator = coordinator;
    this.#told = new Promise((resolve) => (this.#tell = resolve));
    this.#done = this.#contend(task);
    this.#done.catch(() => undefined);
  }

  event(name: ContenderEvent["event"]): Promise<ContenderEvent> {
    return until(() => this.#said.find(({ event }) => event === name), `contender ${this.pid} to have ${name}`);
  }

  events(): readonly ContenderEvent[] {
    return this.#said;
  }

  tell(): void {
    this.#tell();
  }

  freeze(): void {
    throw new UnreachableError("a contender in the test's own process cannot be stopped");
  }

  thaw(): void {
    throw new UnreachableError("a contender in the test's own process cannot be stopped");
  }

  async kill(): Promise<void> {
    this.#coordinator.die(true);
  }

  ended(): Promise<void> {
    return this.#done;
  }

  async #contend(task: ContenderTask): Promise<void> {
    const isAll = task.until === "all";
    for (let round = 0; round < (isAll ? (task.rounds ?? 1) : 1); round += 1) await this.#takeOne(this.#coordinator, task);
    await this.#coordinator.close();
    this.#say("closed", {});
  }

  async #takeOne(coordinator: Coordinator, task: ContenderTask): Promise<void> {
    const lease = task.isLease === true ? leaseOn(task.locks) : null;
    const draft: Draft = draftFor(task.locks, { key: task.key ?? null, lease });
    if (task.until === "joined") {
      await coordinator.join(draft);
      this.#say("joined", { claim: draft.id });
      return this.#told;
    }
    const turn = await takeTurn(coordinator, draft, { signal: new AbortController().signal });
    if (turn.outcome !== "granted") throw new Error("not granted");
    this.#say("granted", { claim: draft.id });
    if (task.until === "granted") return this.#told;
    const { owner, key, slots, reason, data } = draft;
    const record: ClaimRecord = { owner, key, slots, reason, data, lease, made: null, expiresAt: null, failure: null };
    const settled = await coordinator.settle(draft, turn.joined, record);
    if (task.trace !== undefined) appendFileSync(task.trace, `+${draft.id} ${settled.fencingToken}\n`);
    this.#say("settled", { claim: draft.id, fencingToken: settled.fencingToken });
    if (task.until !== "all") await this.#told;
    if (task.trace !== undefined) appendFileSync(task.trace, `-${draft.id}\n`);
    await coordinator.leave(draft.id, settled.entries, RELEASED);
  }

  #say(event: ContenderEvent["event"], details: object): void {
    this.#said.push({ event, ...details });
  }
}
