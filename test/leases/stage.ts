// A store in memory whose clock stands still until a test moves it, for leases and whoever meets them. Real stores are the
// end-to-end tests' matter.
import { BY_STORE } from "../support/perspectives.js";
import { onTestFinished } from "vitest";
import { createClock } from "../../src/line/clock.js";
import type { LeaseContext, LeaseRequest } from "../../src/leases/request.js";
import type { Claim } from "../../src/locks/claim.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { ownerAt, TEST_OPTIONS } from "../coordinators/conformance/store.js";
import { openEngine } from "../../src/queue/engine.js";
import type { Request } from "../../src/stores/memory/index.js";
import { MemoryServer } from "../../src/stores/memory/server.js";
import { Link } from "../stores/memory/link.js";
import { createLinkedStore } from "../stores/memory/linked-store.js";

export const START = Date.UTC(2025, 10, 21, 9, 0, 0);

export interface Stage {
  /** What the store's clock shows. */
  now: number;
  /** Called before a request takes effect in the store, which waits for what it gives. */
  before: (request: Request) => unknown;
  open(): Promise<Coordinator>;
}

export function openStage(): Stage {
  const stage: Stage = { now: START, before: () => undefined, open };
  const timers = new Set<NodeJS.Timeout>();
  onTestFinished(() => {
    for (const timer of timers) clearTimeout(timer);
  });
  const after = (ms: number, run: () => void) => {
    const timer = setTimeout(run, ms);
    timers.add(timer);
    return () => clearTimeout(timer);
  };
  const server = new MemoryServer({ now: () => stage.now, after, putsAway: true });
  let members = 0;
  async function open(): Promise<Coordinator> {
    const link = new Link(`member ${(members += 1)}`, server, (direction, request, arrive) => {
      const waited = direction === "request" ? stage.before(request) : undefined;
      void Promise.resolve(waited).then(() => setImmediate(arrive));
    });
    const timersOfIts = { uptimeMs: () => stage.now, after };
    const coordinator = await openEngine(createLinkedStore(server, link), { ...TEST_OPTIONS, timers: timersOfIts });
    onTestFinished(() => coordinator.close());
    return coordinator;
  }
  return stage;
}

const silent = () => undefined;

export function leasesOn(coordinator: Coordinator, changes: Partial<LeaseContext> = {}): LeaseContext {
  return {
    coordinator,
    node: "admin-01",
    clock: createClock(),
    progress: { waiting: silent, step: silent },
    process: ownerAt("admin-01").process as NonNullable<Claim["owner"]["process"]>,
    sleepTimeMs: 5,
    perspective: BY_STORE,
    signal: new AbortController().signal,
    ...changes,
  };
}

export function requestFor(lock: string, changes: Partial<LeaseRequest> = {}): LeaseRequest {
  return {
    locks: [lock],
    type: "lease",
    key: null,
    slots: 1,
    principal: "ann@admin-01",
    caller: null,
    path: null,
    reason: null,
    data: null,
    ttlMs: 4_000,
    waitMs: 0,
    alone: false,
    ...changes,
  };
}
