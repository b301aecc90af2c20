// Leases by their ids: taking, showing, renewing, changing their data, releasing.
import type { FastifyInstance, FastifyRequest } from "fastify";
import { readLabel, readSlots } from "../../config/field.js";
import { DEFAULT_TTL_MS, settingsOfLock } from "../../config/locks.js";
import { leaseAsJson } from "../../views/json.js";
import { applyChanges, parseDataPath } from "../../leases/data.js";
import type { DataChange } from "../../leases/data.js";
import { changeData, releaseLease, renewLease } from "../../leases/lease.js";
import type { Claim } from "../../locks/claim.js";
import { HoldlineError } from "../../locks/errors.js";
import { ID_EXAMPLE, parseClaimId } from "../../locks/ids.js";
import { parseLockName } from "../../locks/names.js";
import { defaultSlots } from "../../locks/rule.js";
import { isOwn, requireOver, requireRight, requireRightBehind } from "../access.js";
import type { Caller } from "../access.js";
import { refuse } from "../errors.js";
import type { Refusal } from "../errors.js";
import type { Service } from "../service.js";
import { answerAcquire, readDespiteFreeze } from "./acquiring.js";
import { findEntries } from "./claims.js";
import {
  answers,
  asked,
  CALLER,
  DATA,
  DESPITE_FREEZE,
  ID,
  LEASE,
  LOCK,
  NOT_MODIFIED,
  object,
  params,
  TTL,
  WAIT,
} from "./schemas.js";
import { parseData, readMember, readTtl, readWait, requireSome, sendTagged } from "./values.js";

type Body = Readonly<Record<string, unknown>>;
interface OfLease {
  readonly Params: { readonly id: string };
}

const PARAMS = params("id", "the lease's id");

export function routeLeases(app: FastifyInstance, service: Service): void {
  app.post<{ Body: Body & { readonly lock: string; readonly id?: string } }>("/v1/leases", {
    schema: {
      operationId: "acquireLease",
      summary: "Takes a lease on a lock; waits in line for it while the request is open",
      tags: ["leases"],
      body: asked(
        {
          lock: LOCK,
          ttl: TTL,
          wait: WAIT,
          key: { type: "string", nullable: true, description: "claims with the same key may be held together" },
          slots: {
            description: 'how many may be held at once, or "unlimited"; by default 1 without a key, unlimited with one',
            anyOf: [
              { type: "integer", minimum: 1 },
              { type: "string", enum: ["unlimited"] },
            ],
          },
          reason: { type: "string", nullable: true, description: "why, for those who find the lock held" },
          caller: CALLER,
          data: DATA,
          id: ID,
          despiteFreeze: DESPITE_FREEZE,
        },
        ["lock"],
      ),
      response: answers(
        { 201: { ...LEASE, description: "it is taken" }, 200: { ...LEASE, description: "it was there" } },
        409,
        423,
      ),
    },
    handler(request, reply) {
      const { body, caller } = request;
      const lock = parseLockName(body.lock);
      requireRight(caller, "lock", lock);
      const key = readMember(body, "key", readLabel, null);
      const { ttlMs } = settingsOfLock(service.stores.settings, lock);
      return answerAcquire(service, request, reply, {
        ...(body.id === undefined ? {} : { id: body.id.toLowerCase() }),
        locks: [lock],
        type: "lease",
        key,
        slots: readMember(body, "slots", readSlots, defaultSlots(key)),
        principal: caller.name,
        caller: readMember(body, "caller", readLabel, null),
        path: null,
        reason: readMember(body, "reason", readLabel, null),
        data: parseData(body["data"], "data"),
        ttlMs: readTtl(body, ttlMs ?? DEFAULT_TTL_MS),
        waitMs: readWait(body),
        alone: false,
        despiteFreeze: readDespiteFreeze(body, caller, [lock], "reason"),
      });
    },
  });

  app.get<OfLease>("/v1/leases/:id", {
    schema: {
      operationId: "lease",
      summary: "A lease",
      tags: ["leases"],
      params: PARAMS,
      response: answers({ 200: LEASE, ...NOT_MODIFIED }, 404),
    },
    async handler(request, reply) {
      requireSome(request.caller, "read");
      const found = await findLease(service, request);
      const locks = found === null ? [] : locksSeen(request.caller, found);
      if (found !== null && locks.length > 0) return sendTagged(request, reply, JSON.stringify({ ...leaseAsJson(found), locks }));
      return refuse(reply, "problem", { ...overOf(request), status: 404, kind: "nothing-there" });
    },
  });

  app.post<OfLease & { Body: Body }>("/v1/leases/:id/renew", {
    schema: {
      operationId: "renewLease",
      summary: "Gives a lease a new time, from now",
      tags: ["leases"],
      params: PARAMS,
      body: asked({ ttl: TTL }),
      response: answers({ 200: LEASE }, 410),
    },
    async handler(request, reply) {
      requireSome(request.caller, "lock", "clear");
      const found = await findLease(service, request);
      if (found === null) return refuse(reply, "problem", overOf(request));
      const { lock, id } = found;
      const ttlMs = readTtl(request.body, settingsOfLock(service.stores.settings, lock).ttlMs ?? DEFAULT_TTL_MS);
      const { coordinator } = await service.leases(lock);
      // findLease has seen to the right to clear, which another's lease takes.
      const asking = { by: request.caller.name, force: true, signal: request.patience };
      const renewed = await renewLease(coordinator, lock, id, { ...asking, ttlMs });
      return renewed.outcome === "expired" ? refuse(reply, "problem", overOf(request)) : reply.send(leaseAsJson(renewed.claim));
    },
  });

  app.post<OfLease & { Body: Body }>("/v1/leases/:id/data", {
    schema: {
      operationId: "changeLeaseData",
      summary: "Changes the data of a lease: replaces it first, then merges, then sets single keys",
      tags: ["leases"],
      params: PARAMS,
      body: asked({
        replace: { description: "all of it" },
        merge: { type: "object", additionalProperties: true, description: "merged into the present data, map by map" },
        set: { type: "object", additionalProperties: true, description: 'values by their keys; "a.b" is b in a' },
      }),
      response: answers({ 200: object("the data as it is now", { data: DATA }) }, 410),
    },
    async handler(request, reply) {
      requireSome(request.caller, "lock", "clear");
      const changes = readChanges(request.body);
      const found = await findLease(service, request);
      if (found === null) return refuse(reply, "problem", overOf(request));
      const { lock, id } = found;
      const { coordinator } = await service.leases(lock);
      const changed = await changeData(coordinator, lock, id, (present) => applyChanges(present, changes), request.patience);
      return changed === "gone" ? refuse(reply, "problem", overOf(request)) : reply.send({ data: changed.data ?? null });
    },
  });

  app.delete<OfLease & { Querystring: Body }>("/v1/leases/:id", {
    schema: {
      operationId: "releaseLease",
      summary: "Ends a lease; no error if it is gone already",
      tags: ["leases"],
      params: PARAMS,
      querystring: asked({ reason: { type: "string", description: "why, for the history" } }),
      response: answers({
        200: object("the outcome", { outcome: { type: "string", enum: ["released", "gone"] } }),
      }),
    },
    async handler(request) {
      requireSome(request.caller, "lock", "clear");
      const reason = readMember(request.query, "reason", readLabel, null);
      const found = await findLease(service, request);
      if (found === null) return { outcome: "gone" };
      const { coordinator } = await service.leases(found.lock);
      // findLease has seen to the right to clear, which another's lease takes.
      const ending = { by: request.caller.name, reason, force: true, signal: request.patience };
      return { outcome: await releaseLease(coordinator, found.lock, found.id, ending) };
    },
  });
}

/**
 * The lease that a request names, as one of its entries; `null` when there is none.
 * @throws HoldlineError `not-allowed` when the caller wants to write to it and may not
 */
async function findLease(service: Service, request: FastifyRequest<OfLease>): Promise<Claim | null> {
  const { caller, method, params } = request;
  const id = parseClaimId(params.id, `right would be the lease's id, such as ${ID_EXAMPLE}`);
  const [claim] = await findEntries(service, id, request.patience);
  if (claim === undefined) return null;
  const locks = claim.lease?.locks ?? [claim.lock];
  if (method !== "GET" && method !== "HEAD") requireOver(caller, claim, locks);
  // The answer to a change shows the lease.
  if (method === "POST" && !isOwn(caller, claim)) for (const lock of locks) requireRightBehind(caller, "read", lock);
  if (claim.lease === null || claim.durable) return claim;
  // What still waits is no lease yet. Whoever wants to end it must not be told that it is gone: it would come after that.
  if (method === "GET" || method === "HEAD") return null;
  throw new HoldlineError("conflict", `the claim ${claim.id} still waits in line, and is no lease yet`, {
    hint: "end the request that waits for it, and try again",
  });
}

/** Those of a lease's locks that the caller may see. */
function locksSeen(caller: Caller, { lease }: Claim): readonly string[] {
  return (lease?.locks ?? []).filter((lock) => caller.mayWith("read", lock));
}

function overOf({ params: { id } }: FastifyRequest<OfLease>): Refusal {
  return { status: 410, kind: "gone", message: `there is no lease ${id}: its time is over, or it was released` };
}

function readChanges(body: Body): readonly DataChange[] {
  const { set, merge } = body as { readonly set?: object; readonly merge?: object };
  const changes: DataChange[] = [];
  if ("replace" in body) changes.push({ kind: "replace", value: parseData(body["replace"], "replace") });
  if (merge !== undefined) changes.push({ kind: "merge", value: parseData(merge, "merge") });
  for (const [path, value] of Object.entries(set ?? {}))
    changes.push({ kind: "set", path: parseDataPath(path), value: parseData(value, `set ${path}`) });
  if (changes.length > 0) return changes;
  throw new HoldlineError("usage", "no change given", {
    hint: 'right would be such as {"set": {"status": "READY"}}',
  });
}
