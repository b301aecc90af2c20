// The queue engine over the in-memory store for the conformance suite: real time, messages that arrive at once, and every fault that
// a network has. Contenders live in the test's own process, and are killed by taking their connection and their timers away.
import { contendHere } from "../../../src/conformance/contenders.js";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import type { Faults, HeldBack, Member, TestStore } from "../../../src/conformance/stage.js";
import type { CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { openEngine, type QueueEngine } from "../../../src/queue/engine.js";
import type { StoreTraits } from "../../../src/queue/store.js";
import { MEMORY_TRAITS, type Request } from "../../../src/stores/memory/index.js";
import { MemoryServer } from "../../../src/stores/memory/server.js";
import { uptimeMs } from "../../../src/uptime.js";
import { Link } from "./link.js";
import { createLinkedStore } from "./linked-store.js";

/** What is to happen to the next request of its kind. */
interface Trap {
  readonly operation: string;
  readonly claim: string;
  readonly at: "request" | "reply";
  /** Lets the message go on, or has it lost. */
  spring(goOn: () => void): void;
}

/** @param putsAway whether the store itself puts away what ended sessions have left, or leaves that to whoever meets it */
export function openMemoryTestStore({ putsAway }: { readonly putsAway: boolean }): TestStore {
  const traits: StoreTraits = putsAway ? MEMORY_TRAITS : { ...MEMORY_TRAITS, wakes: "poll" };
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
  // A server has a clock of its own: tests that put this process's forward mean a node's.
  const server = new MemoryServer({ now: () => performance.timeOrigin + performance.now(), after, putsAway });
  let members = 0;
  const open = async (given: Partial<CoordinatorOptions>, prepare: (link: Link) => void = () => undefined): Promise<Near> => {
    const traps = new Set<Trap>();
    const link = new Link(`member ${(members += 1)}`, server, (direction, request, arrive) => {
      const goOn = (): void => void setImmediate(arrive);
      const trap = [...traps].find((candidate) => isFor(candidate, direction, request));
      if (trap === undefined) return goOn();
      traps.delete(trap);
      trap.spring(goOn);
    });
    prepare(link);
    let isAlive = true;
    const whileAlive = (ms: number, run: () => void): (() => void) => after(ms, () => isAlive && run());
    const options = { ...TEST_OPTIONS, ...given, timers: { uptimeMs, after: whileAlive } };
    const coordinator = await openEngine(createLinkedStore(server, link, traits), options);
    const die = (): void => {
      isAlive = false;
      link.close(true);
    };
    return { coordinator, faults: faultsOf(server, link, coordinator, traps), die };
  };
  return {
    open: (options = {}): Promise<Member> => open(options),
    startContender: async (task) => {
      const near = await open({});
      return contendHere(near.coordinator, task, () => near.die());
    },
    plantGarbageClaim: async (lock) => {
      const session = { id: server.openSession(1_000_000), epoch: 0 };
      server.commit([
        { do: "append", lock, claim: `garbage-${server.revision}`, session, key: null, slots: 1, record: "{not json" },
      ]);
    },
    plantGarbageHistory: async (lock) => {
      server.commit([{ do: "archive", lock, record: "garbage{", endedAt: null, room: 1_000 }]);
    },
    unreachable: async () => ({
      "connections refused": (connectTimeoutMs) => open({ connectTimeoutMs }, (link) => link.refuse()),
      "connections accepted but not answered": (connectTimeoutMs) => open({ connectTimeoutMs }, (link) => link.freeze()),
    }),
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

interface Near {
  readonly coordinator: QueueEngine;
  readonly faults: Faults;
  /** Its process is killed; requests that are on their way still arrive. */
  die(): void;
}

function isFor(trap: Trap, direction: "request" | "reply", request: Request): boolean {
  return trap.at === direction && trap.operation === request.operation && trap.claim === request.claim;
}

function faultsOf(server: MemoryServer, link: Link, coordinator: QueueEngine, traps: Set<Trap>): Faults {
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
    expireSession: async () => server.expireSession(coordinator.session?.id ?? ""),
  };
}
