// Whether the server runs, and whether it can serve: for load balancers and service managers, who have no credentials.
import type { FastifyInstance } from "fastify";
import { messageOf } from "../locks/errors.js";
import { refuse } from "./errors.js";
import type { Service } from "./service.js";

// A store that takes longer is as good as away for whoever waits behind a load balancer.
const SLOWEST_STORE_MS = 3_000;

const STATUS = { type: "object", properties: { status: { type: "string" } } };

export function routeHealth(app: FastifyInstance, service: Service): void {
  const config = { isForAnybody: true };

  app.get("/healthz", {
    config,
    schema: { operationId: "healthz", summary: "Does the process serve?", tags: ["operations"], response: { 200: STATUS } },
    handler: () => ({ status: "serving" }),
  });

  let looking: Promise<boolean> | null = null;
  app.get("/readyz", {
    config,
    schema: {
      operationId: "readyz",
      summary: "Can all stores be reached, and in time?",
      tags: ["operations"],
      response: { 200: STATUS },
    },
    async handler(_request, reply) {
      // However many ask, the stores are asked once at a time.
      looking ??= canRead(service).finally(() => (looking = null));
      if (await looking) return { status: "ready" };
      // Strangers are not told which store; the log is.
      return refuse(reply, "problem", { status: 503, kind: "unreachable", message: "a store does not answer" });
    },
  });
}

async function canRead({ mirror, log }: Service): Promise<boolean> {
  const late = AbortSignal.timeout(SLOWEST_STORE_MS);
  const tooLate = new Promise<never>((_, reject) => late.addEventListener("abort", () => reject(late.reason), { once: true }));
  try {
    // A reading that others have begun may last longer than the patience of this one.
    await Promise.race([mirror.read(late), tooLate]);
    return true;
  } catch (error) {
    log.warn({ error: messageOf(error) }, "not ready: a store does not answer");
    return false;
  }
}
