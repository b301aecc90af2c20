// Taking a lease over HTTP, for leases and for locks on hosts: a bounded long poll, once for each id, and its answer.
import { SILENT_PROGRESS } from "../../line/progress.js";
import type { FastifyReply, FastifyRequest } from "fastify";
import { claimAsJson, leaseAsJson } from "../../views/json.js";
import { viewHolder } from "../../views/lock.js";
import { acquireLease } from "../../leases/acquiring.js";
import { releaseLease } from "../../leases/lease.js";
import type { LeaseContext, LeaseRequest } from "../../leases/request.js";
import { acquireOnce } from "../../leases/once.js";
import type { AcquiredOnce } from "../../leases/once.js";
import { HoldlineError } from "../../locks/errors.js";
import { formatDuration } from "../../locks/durations.js";
import { type Caller, requireRightBehind } from "../access.js";
import { refuse } from "../errors.js";
import { frozen } from "../frozen.js";
import type { Service } from "../service.js";
import { findEntries } from "./claims.js";

/**
 * Whether a request wants its lease whatever is frozen.
 * @param why the member that has to explain it
 * @throws HoldlineError `not-allowed` without the right to clear, `usage` without a reason
 */
export function readDespiteFreeze(
  body: Readonly<Record<string, unknown>>,
  caller: Caller,
  locks: readonly string[],
  why: "reason" | "description",
): boolean {
  if (body["despiteFreeze"] !== true) return false;
  for (const lock of locks) requireRightBehind(caller, "clear", lock);
  if (typeof body[why] === "string") return true;
  throw new HoldlineError("usage", `despiteFreeze needs a ${why}: others want to know why this could not wait for the thaw`);
}

/**
 * Takes a lease while the client waits, and answers.
 * @param more further members of the answer
 */
export async function answerAcquire(
  service: Service,
  request: FastifyRequest,
  reply: FastifyReply,
  wanted: LeaseRequest,
  more: object = {},
): Promise<FastifyReply> {
  const leave = wanted.waitMs === 0 ? () => undefined : service.limits.polls.enter();
  if (leave === null) return service.limits.polls.refuse(reply);
  try {
    const acquired = await acquire(service, request, wanted);
    if (acquired.outcome === "frozen") return await refuse(reply, "problem", frozen(acquired, request.caller));
    if (acquired.outcome === "held") return await refuseHeld(service, request, reply, wanted, acquired);
    const lease = leaseAsJson(acquired.claim);
    void reply.code(acquired.outcome === "found" ? 200 : 201).header("Location", `/v1/leases/${lease.id}`);
    return await reply.send({ ...lease, ...more });
  } finally {
    leave();
  }
}

async function acquire(service: Service, { patience }: FastifyRequest, wanted: LeaseRequest): Promise<AcquiredOnce> {
  const [lock = ""] = wanted.locks;
  const context: LeaseContext = {
    ...(await service.leases(lock)),
    // A thousand long polls would each log their place in line several times a second.
    progress: { ...SILENT_PROGRESS, step: (message, details) => service.log.debug(details, message) },
    signal: patience,
  };
  const { id } = wanted;
  if (id !== undefined) {
    // An id alone must lead to one lease.
    const elsewhere = (await findEntries(service, id, patience)).find((entry) => !wanted.locks.includes(entry.lock));
    if (elsewhere === undefined) return acquireOnce({ ...wanted, id }, context);
    throw new HoldlineError("conflict", `the id ${id} is that of another claim`, { hint: "give each lease an id of its own" });
  }
  const acquired = await acquireLease(wanted, context);
  // The client left, and nobody will ever learn the lease's id. A lease with the client's own id stays: the client may have asked
  // for it again elsewhere.
  if (acquired.outcome === "acquired" && patience.aborted) {
    const ending = { by: wanted.principal, reason: "the client left before it got the answer" };
    await releaseLease(context.coordinator, lock, acquired.lease.id, ending);
    // During a shutdown the client may still be there, and must not read that it has the lease.
    throw patience.reason;
  }
  return acquired;
}

function refuseHeld(
  { stores }: Service,
  { caller }: FastifyRequest,
  reply: FastifyReply,
  { waitMs }: LeaseRequest,
  { lock, holders }: Extract<AcquiredOnce, { outcome: "held" }>,
): FastifyReply {
  // Without `read`, callers learn that the lock is held but not by whom.
  const seen = caller.mayWith("read", lock) ? holders : [];
  const names = [...new Set(seen.map(({ owner, lease }) => lease?.caller ?? owner.principal))].join(", ");
  const by = names === "" ? "" : ` by ${names}`;
  const waited = waitMs === null || waitMs === 0 ? "" : ` (waited ${formatDuration(waitMs)} for it)`;
  const shown = seen.map((claim) => claimAsJson(viewHolder(claim, stores.perspective)));
  const message = `${lock} is held${by}${waited}`;
  return refuse(reply, "problem", { status: 423, kind: "held", message, more: { lock, holders: shown } });
}
