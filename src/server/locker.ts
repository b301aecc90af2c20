// What the clients of Locker speak: pools that one key holds at a time, with a counter for each requestor. A pool is a lock,
// and each count is a claim on it: a lease with that key which lasts until it is ended. Whatever else holds the lock is in the
// way as another key would be. Pools that nobody holds are not listed.
import type { FastifyInstance } from "fastify";
import { acquireLease } from "../leases/lease.js";
import type { Claim } from "../locks/claim.js";
import { HoldlineError } from "../locks/errors.js";
import { entriesOf, isInHand, readPresentQueue } from "../locks/holders.js";
import { parseLockName } from "../locks/names.js";
import { quoted } from "../locks/text.js";
import { requireRight } from "./access.js";
import { refuse } from "./errors.js";
import type { MirroredLock } from "./mirror.js";
import type { Service } from "./service.js";

interface LockerRequest {
  readonly Params: { readonly pool: string };
  readonly Body: { readonly key: string; readonly requestor?: string };
}

const LONGEST_TEXT = 1_024;
// Each count that is ended may meet another writer; so many in a row mean that something else is wrong.
const MOST_LOOKS = 20;

const PARAMS = { type: "object", required: ["pool"], properties: { pool: { type: "string", description: "the lock's name" } } };
const BODY = {
  type: "object",
  required: ["key"],
  properties: {
    key: { type: "string", minLength: 1, maxLength: LONGEST_TEXT, description: "whoever has the same key shares the pool" },
    requestor: { type: "string", maxLength: LONGEST_TEXT, description: "whose counter it is; by default the key" },
  },
};
const ERROR = { type: "object", properties: { error: { type: "string" } } };
const DONE = { type: "object", properties: { response: { type: "string" } } };
const RESPONSES = { 200: DONE, 400: ERROR, 401: ERROR, 403: ERROR, 423: ERROR, 503: ERROR };

export function routeLocker(app: FastifyInstance, service: Service): void {
  const config = { errors: "locker" } as const;

  app.get("/locks", {
    config,
    schema: { operationId: "lockerPools", summary: "The pools that are held, as Locker lists them", tags: ["locker"] },
    async handler(request, reply) {
      const locks = await service.mirror.read(request.patience);
      const seen = locks.filter(({ lock }) => request.caller.mayWith("read", lock));
      return reply.type("application/json; charset=utf-8").send(`${poolsAsJson(seen)}\n`);
    },
  });

  app.put<LockerRequest>("/lock/:pool", {
    config,
    schema: {
      operationId: "lockerLock",
      summary: "Counts one more for a requestor, at once or not at all",
      tags: ["locker"],
      params: PARAMS,
      body: BODY,
      response: RESPONSES,
    },
    async handler(request, reply) {
      const { pool, key, requestor } = readRequest(request);
      requireRight(request.caller, "lock", pool);
      const context = { ...(await service.leases(pool)), signal: request.patience };
      const acquired = await acquireLease(
        {
          locks: [pool],
          type: "lease",
          key,
          slots: Number.POSITIVE_INFINITY,
          principal: request.caller.name,
          caller: requestor,
          path: null,
          reason: null,
          data: null,
          ttlMs: null,
          waitMs: 0,
          alone: false,
        },
        context,
      );
      if (acquired.outcome === "held") return refuse(reply, "locker", heldBy(pool, acquired.holders));
      return { response: `${pool} is locked by ${requestor} with the key ${key}` };
    },
  });

  app.delete<LockerRequest>("/lock/:pool", {
    config,
    schema: {
      operationId: "lockerUnlock",
      summary: "Sets a requestor's counter to 0",
      tags: ["locker"],
      params: PARAMS,
      body: BODY,
      response: RESPONSES,
    },
    async handler(request, reply) {
      const { pool, key, requestor } = readRequest(request);
      requireRight(request.caller, "lock", pool);
      const { name: by } = request.caller;
      const { coordinator } = await service.leases(pool);
      const signal = request.patience;
      for (let look = 0; look < MOST_LOOKS; look += 1) {
        const queue = await readPresentQueue(coordinator, pool, by, signal);
        const holders = queue.filter((_, position) => isInHand(queue, position));
        if (holders.some((holder) => holder.key !== key)) return refuse(reply, "locker", heldBy(pool, holders));
        const counted = holders.filter((holder) => holder.lease !== null && requestorOf(holder) === requestor);
        const ends = counted.map(async (claim) => {
          const entries = await entriesOf(coordinator, claim, signal);
          return coordinator.leave(claim.id, entries, { event: "released", by, reason: null }, signal);
        });
        // Whatever was written to or has joined meanwhile is found by another look.
        if ((await Promise.all(ends)).every((ended) => ended === "done"))
          return { response: `${pool} is not locked by ${requestor} any more` };
      }
      throw new HoldlineError("conflict", `the counter of ${quoted(requestor)} on ${pool} changes too often to be set to 0`);
    },
  });
}

function readRequest({ params, body }: { params: LockerRequest["Params"]; body: LockerRequest["Body"] }) {
  const { key } = body;
  // An empty one is none, as it is to Locker.
  const requestor = body.requestor || key;
  for (const [name, text] of [
    ["key", key],
    ["requestor", requestor],
  ] as const)
    if (text.includes("\0") || !text.isWellFormed())
      throw new HoldlineError("usage", `the ${name} must be well-formed text without a NUL character, not ${quoted(text)}`);
  return { pool: parseLockName(params.pool), key, requestor };
}

function heldBy(pool: string, holders: readonly Claim[]) {
  const [first] = holders;
  const with_ = first?.key == null ? "without a key" : `with the key ${first.key}`;
  const names = [...new Set(holders.map(requestorOf))].join(", ");
  return { status: 423, kind: "held", message: `${pool} is locked by ${names} ${with_}` };
}

/** Whose counter a claim counts in. */
function requestorOf({ lease, owner }: Pick<Claim, "lease" | "owner">): string {
  return lease?.caller ?? owner.principal;
}

/** Not an object: its keys would not stay in their order when they look like numbers. */
function poolsAsJson(locks: readonly MirroredLock[]): string {
  const pools = locks.flatMap(({ lock, claims }) => {
    const holders = claims.filter(({ held }) => held).map(({ claim }) => claim);
    const [first] = holders;
    if (first === undefined) return [];
    const counts = new Map<string, number>();
    for (const holder of holders) counts.set(requestorOf(holder), (counts.get(requestorOf(holder)) ?? 0) + 1);
    const members = sorted([...counts.keys()]).map((name) => `${JSON.stringify(name)}:${counts.get(name) ?? 0}`);
    return [{ lock, text: `{"locked_by":{${members.join(",")}},"key":${JSON.stringify(first.key ?? "")}}` }];
  });
  const byName = new Map(pools.map(({ lock, text }) => [lock, text]));
  return `{${sorted([...byName.keys()])
    .map((lock) => `${JSON.stringify(lock)}:${byName.get(lock) ?? "null"}`)
    .join(",")}}`;
}

/** In the order of their bytes, as Locker sorts. */
function sorted(names: readonly string[]): string[] {
  return [...names].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
}
