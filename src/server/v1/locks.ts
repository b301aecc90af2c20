// Locks, and what agents run: the most frequent requests, answered from the mirror with the texts that it keeps.
import type { FastifyInstance } from "fastify";
import { isoTime } from "../../locks/durations.js";
import { parseLockName } from "../../locks/names.js";
import { claimsOn } from "../../views/lock.js";
import type { ClaimView } from "../../views/lock.js";
import { requireRight } from "../access.js";
import { freezesSeenBy, freezesText } from "../fleet.js";
import type { Service } from "../service.js";
import type { MirroredLock } from "../store-copy.js";
import { ACTION, answers, list, LOCK_STATE, LOCKS, NOT_MODIFIED, object, params } from "./schemas.js";
import { requireSome, sendTagged, sendUnder, tagOfAll } from "./values.js";

export function routeLocks(app: FastifyInstance, service: Service): void {
  app.get("/v1/locks", {
    schema: {
      operationId: "locks",
      summary: "All claimed locks that the caller may see, and the freezes that bind such locks",
      tags: ["locks"],
      response: answers({ 200: LOCKS, ...NOT_MODIFIED }),
    },
    async handler(request, reply) {
      requireSome(request.caller, "read");
      const { caller } = request;
      const locks = (await service.mirror.read(request.patience)).filter(({ lock }) => caller.mayWith("read", lock));
      const freezes = freezesText(freezesSeenBy(caller, service.mirror.freezes()));
      return sendUnder(tagOfAll(locks, freezes), request, reply, () => locksText(locks, freezes));
    },
  });

  app.get<{ Params: { readonly lock: string } }>("/v1/locks/:lock", {
    schema: {
      operationId: "lock",
      summary: "One lock; its lists are empty when nobody claims it",
      tags: ["locks"],
      params: params("lock", "the lock's name, with %2F for each slash"),
      response: answers({ 200: LOCK_STATE, ...NOT_MODIFIED }),
    },
    async handler(request, reply) {
      const lock = parseLockName(request.params.lock);
      requireRight(request.caller, "read", lock);
      const found = await service.mirror.readOne(lock, request.patience);
      return sendTagged(request, reply, found?.text ?? freeText(lock));
    },
  });

  app.get("/v1/actions", {
    schema: {
      operationId: "actions",
      summary: "What agents run, or wait to run, under locks that the caller may see",
      tags: ["locks"],
      response: answers({ 200: object("the claims of agents' actions", { actions: list(ACTION) }), ...NOT_MODIFIED }),
    },
    async handler(request, reply) {
      requireSome(request.caller, "read");
      const locks = (await service.mirror.read(request.patience)).filter(({ lock }) => request.caller.mayWith("read", lock));
      const actions = locks.flatMap((lock) => claimsOn(lock).flatMap(actionOf));
      return sendTagged(request, reply, JSON.stringify({ actions }));
    },
  });
}

function actionOf({ id, lock, owner, since, condition }: ClaimView) {
  const { action, node, principal } = owner;
  return action === null ? [] : [{ action, node, principal, lock, claim: id, condition, since: isoTime(since) }];
}

/** Locks as `holdline locks --json` gives them. @param freezes as {@link freezesText} gives them */
export function locksText(locks: readonly MirroredLock[], freezes: string): string {
  return `{"locks":[${locks.map(({ text }) => text).join(",")}],${freezes}}`;
}

/** A free lock in the same form. */
export function freeText(lock: string): string {
  return JSON.stringify({ lock, holders: [], waiting: [] });
}
