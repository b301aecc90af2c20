// FleetLock, the protocol with which Fedora CoreOS and Flatcar coordinate their reboots. A group of machines is a lock, and a
// machine's slot is a lease with the machine's id as caller, which lasts until the machine reports that it is back.
// https://coreos.github.io/zincati/development/fleetlock/protocol/
import type { FastifyInstance, FastifyRequest } from "fastify";
import { judge, untilAnswered } from "../leases/acquiring.js";
import { attemptLease, type HeldByOthers } from "../leases/attempt.js";
import type { Frozen } from "../leases/frozen.js";
import type { LeaseRequest } from "../leases/request.js";
import type { Claim } from "../locks/claim.js";
import { HoldlineError } from "../locks/errors.js";
import { parseLockName } from "../locks/names.js";
import { quoted } from "../locks/text.js";
import { requireOver, requireRight } from "./access.js";
import type { Caller } from "./access.js";
import { endLeases } from "./ending.js";
import { frozen } from "./frozen.js";
import { refuse } from "./errors.js";
import type { Refusal } from "./errors.js";
import type { Service } from "./service.js";

interface FleetLockRequest {
  readonly Body: { readonly client_params: { readonly id: string; readonly group: string } };
}

/** One machine's slot in its group. */
interface Slot {
  readonly lock: string;
  /** Freezes of a node or a group see the machine's id as its node. */
  readonly group: string;
  readonly id: string;
  /** How many machines of the group may have one. */
  readonly slots: number;
  /** The principal who asks. */
  readonly by: string;
}

const LONGEST_ID = 1_024;

const HEADERS = {
  type: "object",
  required: ["fleet-lock-protocol"],
  properties: {
    "fleet-lock-protocol": { type: "string", enum: ["true"], description: "confirms that the request is meant for FleetLock" },
  },
};
const BODY = {
  type: "object",
  required: ["client_params"],
  properties: {
    client_params: {
      type: "object",
      required: ["id", "group"],
      properties: {
        id: { type: "string", minLength: 1, maxLength: LONGEST_ID, description: "the machine" },
        group: { type: "string", pattern: "^[a-zA-Z0-9.-]+$", description: "the machines with which it takes turns" },
      },
    },
  },
};
const DONE = { type: "null", description: "done, now or before" };
const ERROR = {
  type: "object",
  required: ["kind", "value"],
  properties: {
    kind: { type: "string", description: "one of a few words, for programs" },
    value: { type: "string", description: "for people" },
  },
};
const FAILURES = { 400: ERROR, 401: ERROR, 403: ERROR, 503: ERROR };

export function routeFleetLock(app: FastifyInstance, service: Service): void {
  const config = { errors: "fleetlock" } as const;

  app.post<FleetLockRequest>("/v1/pre-reboot", {
    config,
    schema: {
      operationId: "fleetLockPreReboot",
      summary: "Reserves a slot of its group for a machine, at once or not at all",
      tags: ["fleetlock"],
      headers: HEADERS,
      body: BODY,
      response: { 200: DONE, 423: ERROR, ...FAILURES },
    },
    async handler(request, reply) {
      const slot = readRequest(request, service);
      if ("status" in slot) return refuse(reply, "fleetlock", slot);
      const inTheWay = await reserve(slot, service, request.patience);
      if (inTheWay === null) return reply.send();
      return refuse(
        reply,
        "fleetlock",
        inTheWay.outcome === "frozen" ? frozen(inTheWay, request.caller) : full(slot, inTheWay.holders, request.caller),
      );
    },
  });

  app.post<FleetLockRequest>("/v1/steady-state", {
    config,
    schema: {
      operationId: "fleetLockSteadyState",
      summary: "Gives back the slot that a machine has in its group",
      tags: ["fleetlock"],
      headers: HEADERS,
      body: BODY,
      response: { 200: DONE, ...FAILURES },
    },
    async handler(request, reply) {
      const slot = readRequest(request, service);
      if ("status" in slot) return refuse(reply, "fleetlock", slot);
      const { lock, by } = slot;
      const { coordinator } = await service.leases(lock);
      const ending = { by, reason: "steady state", signal: request.patience };
      await endLeases(coordinator, lock, ending, (queue) => {
        const claims = claimsOf(queue, slot);
        for (const claim of claims) requireOver(request.caller, claim, [lock]);
        return claims;
      });
      return reply.send();
    },
  });
}

/** Makes sure that a machine has one slot. @returns what is in the way; `null` when it has its slot */
async function reserve(slot: Slot, service: Service, signal: AbortSignal): Promise<HeldByOthers | Frozen | null> {
  const { lock, group, id, slots, by } = slot;
  const context = { ...(await service.leases(lock)), subject: { node: id, group }, signal };
  const request: LeaseRequest = {
    locks: [lock],
    type: "lease",
    key: null,
    slots,
    principal: by,
    caller: id,
    path: null,
    reason: "reboot",
    data: null,
    ttlMs: null,
    waitMs: 0,
    alone: false,
  };
  let isMade = false;
  return untilAnswered<HeldByOthers | Frozen | null>(request, context, async (_leftMs, tries) => {
    // Two servers may each have made a slot for the machine. The first in line stays: the later of the two to look sees both.
    // This look happens even if the client has hung up, so that no machine keeps two slots.
    const ending = { by, reason: "reserved twice at once", ...(isMade ? {} : { signal }) };
    const queue = await endLeases(context.coordinator, lock, ending, (present) => claimsOf(present, slot).slice(1));
    if (claimsOf(queue, slot).length > 0) return { answer: null };
    // The machine has asked another server at this moment, and that claim is about to become its slot.
    const isInTheMaking = (holders: readonly Claim[]) => holders.some(({ lease }) => lease?.caller === id);
    const tried = judge(await attemptLease(request, context), tries, isInTheMaking);
    if (!("answer" in tried)) return tried;
    if (tried.answer.outcome !== "acquired") return { answer: tried.answer };
    isMade = true;
    return { retryAfterMs: 0 };
  });
}

/** The settled claims that are a machine's slot, in queue order. */
function claimsOf(queue: readonly Claim[], { id }: Slot): readonly Claim[] {
  return queue.filter(({ lease, durable }) => durable && lease?.caller === id && lease.locks.length === 1);
}

function readRequest({ body, caller }: FastifyRequest<FleetLockRequest>, { stores }: Service): Slot | Refusal {
  const { id, group } = body.client_params;
  if (id.includes("\0") || !id.isWellFormed())
    throw new HoldlineError("usage", `the id must be well-formed text without a NUL character, not ${quoted(id)}`);
  const lock = parseLockName(lockOf(group));
  requireRight(caller, "lock", lock);
  const { groups } = stores.settings;
  const slots = groups.get(group);
  if (slots !== undefined) return { lock, group, id, slots, by: caller.name };
  const theirs = [...groups.keys()].filter((name) => caller.mayWith("lock", lockOf(name)) || caller.mayWith("read", lockOf(name)));
  const known =
    groups.size === 0
      ? "no groups are configured"
      : theirs.length === 0
        ? "there is none for you"
        : `there is ${theirs.join(", ")}`;
  return { status: 400, kind: "unknown_group", message: `there is no group ${quoted(group)}: ${known}` };
}

function lockOf(group: string): string {
  return `reboot/${group}`;
}

/** Without `read`, callers learn that the group is full but not who has its slots. */
function full({ lock, slots }: Slot, holders: readonly Claim[], caller: Caller): Refusal {
  const names = [...new Set(holders.map(({ lease, owner }) => lease?.caller ?? owner.principal))].join(", ");
  const by = caller.mayWith("read", lock) ? `, and is held by ${names}` : ", and is full";
  // The example in the protocol's description.
  const kind = "failed_lock_semaphore_full";
  return { status: 423, kind, message: `${lock} has ${slots === 1 ? "one slot" : `${slots} slots`}${by}` };
}
