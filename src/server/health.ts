// Whether the server runs, and whether it reaches its stores, for load balancers and service managers without credentials.
import type { FastifyInstance } from "fastify";
import { messageOf } from "../locks/errors.js";
import { refuse } from "./errors.js";
import type { Service } from "./service.js";

// Clients behind a load balancer would not wait longer.
const SLOWEST_STORE_MS = 3_000;

const STATUS = { type: "object", properties: { status: { type: "string" } } };

export function routeHealth(app: FastifyInstance, service: Service): void {
  const config = { isForAnybody: true };

  app.get("/healthz", {
    config,
    schema: { operationId: "healthz", summary: "Whether the process serves", tags: ["operations"], response: { 200: STATUS } },
    handler: () => ({ status: "serving" }),
  });

  let looking: Promise<boolean> | null = null;
  app.get("/readyz", {
    config,
    schema: {
      operationId: "readyz",
      summary: "Whether all stores answer in time",
      tags: ["operations"],
      response: { 200: STATUS },
    },
    async handler(_request, reply) {
      // However many ask, only one question is under way.
      looking ??= canRead(service).finally(() => (looking = null));
      if (await looking) return { status: "ready" };
      // The log says which store; strangers do not learn it.
      return refuse(reply, "problem", { status: 503, kind: "unreachable", message: "a store does not answer" });
    },
  });
}

async function canRead({ mirror, log }: Service): Promise<boolean> {
  const late = AbortSignal.timeout(SLOWEST_STORE_MS);
  const tooLate = new Promise<never>((_, reject) => late.addEventListener("abort", () => reject(late.reason), { once: true }));
  try {
    // Others may have begun the reading, and may be ready to wait longer.
    await Promise.race([mirror.read(late), tooLate]);
    return true;
  } catch (error) {
    log.warn({ error: messageOf(error) }, "not ready: a store does not answer");
    return false;
  }
}
