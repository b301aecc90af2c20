// Locks, and what agents run: the most frequent requests, answered from the mirror with the texts that it keeps.
import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { isoTime } from "../../locks/durations.js";
import { parseLockName } from "../../locks/names.js";
import { claimsOn } from "../../views/lock.js";
import type { ClaimView } from "../../views/lock.js";
import { requireRight } from "../access.js";
import type { MirroredLock } from "../mirror.js";
import type { Service } from "../service.js";
import { ACTION, answers, list, LOCK_STATE, LOCKS, NOT_MODIFIED, object, params } from "./schemas.js";
import { requireSome, sendTagged, sendUnder, tagOf } from "./values.js";

export function routeLocks(app: FastifyInstance, service: Service): void {
  app.get("/v1/locks", {
    schema: {
      operationId: "locks",
      summary: "All claimed locks that the caller may see",
      tags: ["locks"],
      response: answers({ 200: LOCKS, ...NOT_MODIFIED }),
    },
    async handler(request, reply) {
      requireSome(request.caller, "read");
      const locks = (await service.mirror.read(request.patience)).filter(({ lock }) => request.caller.mayWith("read", lock));
      return sendUnder(tagOfAll(locks), request, reply, () => locksText(locks));
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

/** Locks as `holdline locks --json` gives them. */
export function locksText(locks: readonly MirroredLock[]): string {
  return `{"locks":[${locks.map(({ text }) => text).join(",")}]}`;
}

/** A free lock in the same form. */
export function freeText(lock: string): string {
  return JSON.stringify({ lock, holders: [], waiting: [] });
}

/** The hash of each lock's text, kept because most locks stay the same between two requests. */
const hashes = new WeakMap<MirroredLock, Buffer>();

function tagOfAll(locks: readonly MirroredLock[]): string {
  return tagOf(Buffer.concat(locks.map(hashOf)));
}

function hashOf(lock: MirroredLock): Buffer {
  const known = hashes.get(lock);
  if (known !== undefined) return known;
  const hash = createHash("sha256").update(lock.text).digest();
  hashes.set(lock, hash);
  return hash;
}
