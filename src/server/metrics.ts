// The metrics for Prometheus: what the server has measured, and the present state of the locks that the caller may see. The
// number of locks, and so of series, is bounded.
import type { FastifyInstance } from "fastify";
import { Gauge, Registry } from "prom-client";
import type { Condition } from "../locks/claim.js";
import { HoldlineError } from "../locks/errors.js";
import { claimsOn } from "../views/lock.js";
import { fleetSeenBy } from "./fleet.js";
import { fleetGauges } from "./fleet-metrics.js";
import type { Service } from "./service.js";
import type { MirroredLock } from "./store-copy.js";

// A fleet of some thousand machines has a handful of locks, or one for each machine that is down; each has up to 8 series.
const MOST_LOCKS = 1_000;

export function routeMetrics(app: FastifyInstance, { mirror, measures }: Service): void {
  app.get("/metrics", {
    schema: {
      operationId: "metrics",
      summary: "Metrics for Prometheus: the server, and the locks that the caller may see",
      tags: ["operations"],
      produces: ["text/plain"],
    },
    async handler({ caller }, reply) {
      if (!caller.may("read"))
        throw new HoldlineError("not-allowed", `${caller.name} may not see metrics`, {
          hint: "metrics take the right to read: access: in the server's configuration gives each name its rights",
        });
      // Metrics matter most when a store does not answer: they do not ask it.
      const locks = mirror.latest().filter(({ lock }) => caller.mayWith("read", lock));
      const gauges = gaugesOf(locks, (lock) => measures.nowOf(lock));
      const fleet = fleetGauges(fleetSeenBy(caller, mirror));
      const text = `${await measures.registry.metrics()}${await gauges.metrics()}${await fleet.metrics()}`;
      return reply.type(measures.registry.contentType).send(text);
    },
  });
}

function gaugesOf(locks: readonly MirroredLock[], nowOf: (lock: MirroredLock) => number): Registry {
  const registry = new Registry();
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const claims = gauge("holdline_claims", "Claims on a lock", "lock", "condition");
  const waiters = gauge("holdline_waiters", "Claims that wait for a lock", "lock");
  const waiting = gauge("holdline_oldest_waiter_seconds", "For how long the first in line has been waiting", "lock");
  const failed = gauge(
    "holdline_failed_holder_seconds",
    "For how long a holder whose action failed has kept a lock; the longest of several",
    "lock",
    "node",
  );
  const shown = [...locks].sort((one, other) => urgencyOf(other) - urgencyOf(one)).slice(0, MOST_LOCKS);
  gauge("holdline_locks", "Locks that somebody claims").set(locks.length);
  gauge("holdline_locks_left_out", "Locks without metrics of their own, because there are too many").set(
    locks.length - shown.length,
  );
  for (const seen of shown) {
    const { lock } = seen;
    const counts = new Map<Condition, number>();
    const all = claimsOn(seen);
    for (const { condition } of all) counts.set(condition, (counts.get(condition) ?? 0) + 1);
    for (const [condition, count] of counts) claims.set({ lock, condition }, count);
    waiters.set({ lock }, seen.waiting.length);
    const secondsSince = (time: number): number => Math.max(0, nowOf(seen) - time) / 1_000;
    const [first] = seen.waiting;
    if (first !== undefined) waiting.set({ lock }, secondsSince(first.since));
    const failures = all.flatMap(({ failure, owner }) => (failure === null ? [] : [{ at: failure.at, owner }]));
    const [earliest] = failures.sort((one, other) => one.at - other.at);
    if (earliest !== undefined) failed.set({ lock, node: earliest.owner.node }, secondsSince(earliest.at));
  }
  return registry;
}

/** Locks that somebody has to look after come first, and then those with the longest queue. */
function urgencyOf(lock: MirroredLock): number {
  const claims = claimsOn(lock);
  const needsHelp = claims.some(({ condition }) => condition === "failed" || condition === "stale");
  return (needsHelp ? 1_000_000 : 0) + claims.length;
}
