// The protocol of Locker's clients: one key at a time holds a pool, with a counter for each requestor. A pool is a lock, and
// each count is a lease on it with that key, which lasts until the requestor unlocks. Any other claim on the lock is in the way
// as another key would be. Free pools are not listed.
import type { FastifyInstance } from "fastify";
import { acquireLease } from "../leases/acquiring.js";
import type { Acquired } from "../leases/acquiring.js";
import type { LeaseContext, LeaseRequest } from "../leases/request.js";
import type { Claim } from "../locks/claim.js";
import { HoldlineError } from "../locks/errors.js";
import { isInHand } from "../line/holders.js";
import { parseLockName } from "../locks/names.js";
import { quoted } from "../locks/text.js";
import { requireOver, requireRight } from "./access.js";
import type { Caller } from "./access.js";
import { endLeases } from "./ending.js";
import { frozen } from "./frozen.js";
import { refuse } from "./errors.js";
import type { Refusal } from "./errors.js";
import type { MirroredLock } from "./store-copy.js";
import type { Service } from "./service.js";

interface LockerRequest {
  readonly Params: { readonly pool: string };
  readonly Body: { readonly key: string; readonly requestor?: string | null };
}

const LONGEST_TEXT = 1_024;

const PARAMS = { type: "object", required: ["pool"], properties: { pool: { type: "string", description: "the lock's name" } } };
const BODY = {
  type: "object",
  required: ["key"],
  properties: {
    key: { type: "string", minLength: 1, maxLength: LONGEST_TEXT, description: "requestors with the same key share the pool" },
    requestor: { type: "string", nullable: true, maxLength: LONGEST_TEXT, description: "the counter's owner; by default the key" },
  },
};
const ERROR = { type: "object", required: ["error"], properties: { error: { type: "string" } } };
const DONE = { type: "object", required: ["response"], properties: { response: { type: "string" } } };
const FAILURES = { 401: ERROR, 403: ERROR, 503: ERROR };
const RESPONSES = { 200: DONE, 400: ERROR, 423: ERROR, ...FAILURES };
const POOLS = {
  type: "object",
  description: "by the name of each pool, sorted",
  additionalProperties: {
    type: "object",
    required: ["locked_by", "key"],
    properties: {
      locked_by: { type: "object", description: "by requestor, its counter", additionalProperties: { type: "integer" } },
      key: { type: "string" },
    },
  },
};

export function routeLocker(app: FastifyInstance, service: Service): void {
  const config = { errors: "locker" } as const;
  // Bodies are JSON, even if the content type is garbage that Fastify would refuse.
  app.addHook("onRequest", ({ raw }, _reply, done) => {
    delete raw.headers["content-type"];
    done();
  });

  app.get("/locks", {
    config,
    schema: {
      operationId: "lockerPools",
      summary: "The pools that are held, as Locker lists them",
      tags: ["locker"],
      response: { 200: POOLS, ...FAILURES },
    },
    async handler(request, reply) {
      // An empty list would say that all pools are free.
      if (!request.caller.may("read")) throw new HoldlineError("not-allowed", `${request.caller.name} may not see any pool`);
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
      const acquired = await count(pool, { key, requestor }, request.caller, context);
      if (acquired.outcome === "frozen") return refuse(reply, "locker", frozen(acquired, request.caller));
      if (acquired.outcome === "held")
        return refuse(reply, "locker", heldBy(pool, acquired.holders, request.caller, whyNot(acquired.holders, key)));
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
      let inTheWay: readonly Claim[] = [];
      await endLeases(coordinator, pool, { by, reason: null, signal: request.patience }, (queue) => {
        const holders = queue.filter((_, position) => isInHand(queue, position));
        const counted = holders.filter((holder) => requestorOf(holder) === requestor);
        // A process's claim ends with the process. To answer that it has ended would be untrue.
        const stays = holders.some((holder) => holder.key !== key) || counted.some(({ lease }) => lease === null);
        inTheWay = stays ? holders : [];
        // A requestor is only a name: another principal may have taken a lease under it.
        if (!stays) for (const claim of counted) requireOver(request.caller, claim, claim.lease?.locks ?? [pool]);
        return stays ? [] : counted;
      });
      if (inTheWay.length > 0) {
        const why = inTheWay[0]?.key === key ? PROCESS : "";
        return refuse(reply, "locker", heldBy(pool, inTheWay, request.caller, why));
      }
      return { response: `${pool} is not locked by ${requestor} any more` };
    },
  });
}

/** Takes one more claim for a requestor, unless another key is in the way. */
function count(
  pool: string,
  { key, requestor }: { readonly key: string; readonly requestor: string },
  { name: principal }: Caller,
  context: LeaseContext,
): Promise<Acquired> {
  const request: LeaseRequest = {
    locks: [pool],
    type: "lease",
    key,
    slots: Number.POSITIVE_INFINITY,
    principal,
    caller: requestor,
    path: null,
    reason: null,
    data: null,
    ttlMs: null,
    waitMs: 0,
    alone: false,
  };
  // A waiter with another key keeps this request from joining holders with the same key. Mostly that is another request of
  // this moment, whose answer will be no.
  return acquireLease(request, context, (holders) => whyNot(holders, key) === WAITER);
}

function readRequest({ params, body }: { params: LockerRequest["Params"]; body: LockerRequest["Body"] }) {
  const { key } = body;
  // Locker, too, takes an empty requestor for none.
  const requestor = body.requestor || key;
  for (const [name, text] of [
    ["key", key],
    ["requestor", requestor],
  ] as const)
    if (text.includes("\0") || !text.isWellFormed())
      throw new HoldlineError("usage", `the ${name} must be well-formed text without a NUL character, not ${quoted(text)}`);
  return { pool: parseLockName(params.pool), key, requestor };
}

/** Why another claim with this key cannot join these holders, in words that follow their names. */
function whyNot(holders: readonly Claim[], key: string): string {
  if (holders.some((holder) => holder.key !== key)) return "";
  return holders.length < Math.min(...holders.map(({ slots }) => slots)) ? WAITER : SLOTS;
}

const WAITER = ", and somebody waits for it with another key";
const SLOTS = ", as often as they allow";
const PROCESS = ", in a process that runs";

/** Without `read`, callers learn that the pool is locked but not by whom. */
function heldBy(pool: string, holders: readonly Claim[], caller: Caller, why: string): Refusal {
  const key = holders[0]?.key ?? null;
  const names = [...new Set(holders.map(requestorOf))].join(", ");
  const by = caller.mayWith("read", pool) ? ` by ${names} ${key === null ? "without a key" : `with the key ${key}`}` : "";
  return { status: 423, kind: "held", message: `${pool} is locked${by}${why}` };
}

/** The requestor in whose counter a claim counts. */
function requestorOf({ lease, owner }: Pick<Claim, "lease" | "owner">): string {
  return lease?.caller ?? owner.principal;
}

/** As text: an object would reorder keys that look like numbers. */
function poolsAsJson(locks: readonly MirroredLock[]): string {
  const pools = locks.flatMap(({ lock, holders }) => {
    const [first] = holders;
    if (first === undefined) return [];
    const counts = new Map<string, number>();
    for (const holder of holders) counts.set(requestorOf(holder), (counts.get(requestorOf(holder)) ?? 0) + 1);
    const members = sorted([...counts.keys()]).map((name) => `${JSON.stringify(name)}:${counts.get(name) ?? 0}`);
    // An empty key would tell clients that the pool is free. As in Locker, the requestor then stands for the key.
    const key = first.key || requestorOf(first);
    return [{ lock, text: `{"locked_by":{${members.join(",")}},"key":${JSON.stringify(key)}}` }];
  });
  const byName = new Map(pools.map(({ lock, text }) => [lock, text]));
  return `{${sorted([...byName.keys()])
    .map((lock) => `${JSON.stringify(lock)}:${byName.get(lock) ?? "null"}`)
    .join(",")}}`;
}

/** By their bytes, as Locker sorts. */
function sorted(names: readonly string[]): string[] {
  return [...names].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
}
