// What the server measures while it runs: how long claims wait and hold, how long the stores take, which requests come. The
// figures end with the process. What can be counted from the present state of the locks is metrics.ts's.
import { performance } from "node:perf_hooks";
import type { FastifyReply, FastifyRequest } from "fastify";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { claimsOn } from "../views/lock.js";
import type { Stores } from "../views/stores.js";
import type { LeaseContext } from "../leases/request.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { VERSION } from "../version.js";
import type { Mirror } from "./mirror.js";
import type { MirroredLock } from "./store-copy.js";

// From a moment to a day: an action takes minutes, and people find a failed one in the morning.
const LOCK_BUCKETS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400];
const STORE_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const HTTP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** How the server reaches the stores. */
export interface StoreAccess {
  readonly stores: Stores;
  /** The context for a lease on this lock. Its signal is the server's: a request puts its own in place of it. */
  readonly leases: (lock: string) => Promise<LeaseContext>;
}

export interface Measures {
  readonly registry: Registry;
  /** The same access, with every question to a store timed. */
  timed(access: StoreAccess): StoreAccess;
  /** Observes from now on how long claims wait and hold. */
  follow(mirror: Mirror): void;
  /** The time of the store that has the lock, in milliseconds since 1970, without asking it. */
  nowOf(lock: MirroredLock): number;
  /** Counts a request that begins. @returns what to call when its answer is over */
  requestBegun(request: FastifyRequest, reply: FastifyReply): () => void;
}

export function openMeasures(): Measures {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  new Gauge({ name: "holdline_build_info", help: "1, with the version of the server", labelNames: ["version"], registers }).set(
    { version: VERSION },
    1,
  );
  const times = new LockTimes(registry);
  const requests = new Counter({
    name: "holdline_http_requests_total",
    help: "Finished requests; the status is none where the client left before the answer",
    labelNames: ["route", "method", "status"],
    registers,
  });
  const durations = new Histogram({
    name: "holdline_http_request_duration_seconds",
    help: "From a request to the end of its answer; long polls and streams have routes of their own",
    labelNames: ["route", "method"],
    buckets: HTTP_BUCKETS,
    registers,
  });
  const open = new Gauge({
    name: "holdline_http_open_requests",
    help: "Requests without a complete answer, with long polls and streams",
    labelNames: ["route"],
    registers,
  });
  return {
    registry,
    timed: (access) => timedAccess(access, registry),
    follow: (mirror) => times.follow(mirror),
    nowOf: (lock) => times.nowOf(lock),
    requestBegun(request, reply) {
      const begun = performance.now();
      const [route, { method }] = [routeOf(request), request];
      open.inc({ route });
      return () => {
        open.dec({ route });
        requests.inc({ route, method, status: reply.raw.headersSent ? reply.statusCode : "none" });
        durations.observe({ route, method }, (performance.now() - begun) / 1_000);
      };
    },
  };
}

/** The route as it was declared, so that the number of labels is bounded. */
function routeOf({ routeOptions, is404 }: FastifyRequest): string {
  return is404 ? "none" : (routeOptions.url ?? "none");
}

const EVERY_OPERATION = {
  join: true,
  position: true,
  settle: true,
  adopt: true,
  update: true,
  confirm: true,
  withdraw: true,
  leave: true,
  queue: true,
  find: true,
  list: true,
  history: true,
  sync: true,
  document: true,
  documents: true,
  writeDocument: true,
  // These take as long as the wait.
  departed: false,
  watch: false,
  close: false,
  // The server does not ask these.
  store: false,
  changes: false,
  examine: false,
  mend: false,
  tidy: false,
} as const satisfies Readonly<Record<Exclude<keyof Coordinator, "isShared" | "traits">, boolean>>;

function timedAccess({ stores, leases }: StoreAccess, registry: Registry): StoreAccess {
  const seconds = new Histogram({
    name: "holdline_store_round_trip_seconds",
    help: "How long a store takes to answer",
    labelNames: ["operation"],
    buckets: STORE_BUCKETS,
    registers: [registry],
  });
  const errors = new Counter({
    name: "holdline_store_errors_total",
    help: "Questions that a store did not answer",
    labelNames: ["operation"],
    registers: [registry],
  });
  const known = new WeakMap<Coordinator, Coordinator>();
  const timed = (coordinator: Coordinator): Coordinator => {
    const proxy = known.get(coordinator) ?? proxyOf(coordinator);
    known.set(coordinator, proxy);
    return proxy;
  };
  const proxyOf = (coordinator: Coordinator): Coordinator =>
    new Proxy(coordinator, {
      get(target, name: keyof typeof EVERY_OPERATION) {
        const member: unknown = Reflect.get(target, name);
        // A promise that resolves to the proxy asks for a `then` first.
        if (typeof member !== "function") return member;
        const method = (member as (...args: unknown[]) => Promise<unknown>).bind(target);
        if (!EVERY_OPERATION[name]) return method;
        return async (...args: unknown[]) => {
          const begun = performance.now();
          try {
            const answer = await method(...args);
            seconds.observe({ operation: name }, (performance.now() - begun) / 1_000);
            return answer;
          } catch (error) {
            if (error instanceof HoldlineError && error.code === "unreachable") errors.inc({ operation: name });
            throw error;
          }
        };
      },
    });
  return {
    stores: {
      settings: stores.settings,
      perspective: stores.perspective,
      commandPids: stores.commandPids,
      coordinator: async (lock) => timed(await stores.coordinator(lock)),
      coordinators: async () => (await stores.coordinators()).map(timed),
    },
    async leases(lock) {
      const context = await leases(lock);
      return { ...context, coordinator: timed(context.coordinator) };
    },
  };
}

/** A claim as it was seen last. */
interface Seen {
  readonly held: boolean;
  /** When it began to wait or was granted, by this process's monotonic clock, in milliseconds. */
  readonly since: number;
}

/** Compares each look at a lock with the one before, and observes which claims were granted and which left. */
class LockTimes {
  readonly #seen = new Map<string, ReadonlyMap<string, Seen>>();
  /** By lock, how far its store's clock is ahead of this process's monotonic clock, in milliseconds. */
  readonly #ahead = new Map<string, number>();
  readonly #waits: Histogram;
  readonly #holds: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#waits = new Histogram({
      name: "holdline_wait_seconds",
      help: "How long claims waited before they were held, as far as this server saw it: it looks some 50 ms apart",
      buckets: LOCK_BUCKETS,
      registers,
    });
    this.#holds = new Histogram({
      name: "holdline_hold_seconds",
      help: "How long claims were held before they left, as far as this server saw it",
      buckets: LOCK_BUCKETS,
      registers,
    });
  }

  follow(mirror: Mirror): void {
    // Claims that are here already say since when they are held, but not how long they waited.
    for (const lock of mirror.latest()) this.#take(lock.lock, this.#look(lock));
    mirror.subscribe(({ changed, gone }) => {
      for (const lock of changed) this.#observe(lock.lock, this.#look(lock));
      for (const lock of gone) this.#observe(lock, new Map());
    });
  }

  nowOf({ lock, now }: MirroredLock): number {
    const ahead = this.#ahead.get(lock);
    return ahead === undefined ? now : performance.now() + ahead;
  }

  #look(view: MirroredLock): ReadonlyMap<string, Seen> {
    const { lock, now } = view;
    const here = performance.now();
    const before = this.#seen.get(lock);
    this.#ahead.set(lock, now - here);
    return new Map(
      claimsOn(view).map(({ id, durable, since, state }) => {
        const held = state === "held";
        const earlier = before?.get(id);
        if (earlier?.held === held) return [id, earlier];
        // An ephemeral claim keeps the time at which it joined when it is granted.
        const isTurn = earlier !== undefined && held && !durable;
        return [id, { held, since: isTurn ? here : here - Math.max(0, now - since) }];
      }),
    );
  }

  #observe(lock: string, now: ReadonlyMap<string, Seen>): void {
    const before = this.#seen.get(lock) ?? new Map<string, Seen>();
    for (const [id, { held, since }] of now) {
      const earlier = before.get(id);
      // A claim that was not seen waiting joined and was granted between two looks.
      if (held && earlier?.held !== true)
        this.#waits.observe(earlier === undefined ? 0 : Math.max(0, since - earlier.since) / 1_000);
    }
    for (const [id, { held, since }] of before) if (held && !now.has(id)) this.#holds.observe((performance.now() - since) / 1_000);
    this.#take(lock, now);
  }

  #take(lock: string, now: ReadonlyMap<string, Seen>): void {
    if (now.size > 0) this.#seen.set(lock, now);
    else {
      this.#seen.delete(lock);
      this.#ahead.delete(lock);
    }
  }
}
