// The checks that a request passes before its route sees it: whether there is room for it, where it comes from, who makes it.
// An admitted request has a caller, and a signal that is aborted when nobody waits for the answer any more.
import { setMaxListeners } from "node:events";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { HoldlineError } from "../locks/errors.js";
import { challenge, NOBODY } from "./access.js";
import { errorFormOf, refuse } from "./errors.js";
import { Buckets, networkOf, Tally } from "./limits.js";
import type { ServeOptions } from "./options.js";
import { originProblem } from "./origin.js";
import type { Service } from "./service.js";

declare module "fastify" {
  interface FastifyRequest {
    /** Aborted when nobody waits for the answer any more, or when the server shuts down. */
    patience: AbortSignal;
  }
  interface FastifyContextConfig {
    /** The route needs no credentials; its caller may do nothing. */
    readonly isForAnybody?: boolean;
  }
}

// Requests without a complete answer, some ten kilobytes each. Long polls and streams stay open for long.
const MOST_OPEN = 8_000;
const MOST_OPEN_OF_ONE_ADDRESS = 2_500;
const RETRY_OPEN_S = 10;

export function admitRequests(app: FastifyInstance, { access, measures, signal }: Service, options: ServeOptions): void {
  const { rate } = options;
  const buckets = rate === 0 ? null : new Buckets(rate, rate);
  const open = new Tally();
  const waiting = new Set<AbortController>();
  const endAll = (): void => waiting.forEach((request) => request.abort(signal.reason));
  signal.addEventListener("abort", endAll, { once: true });
  // Without credentials only this machine may lock, unless the server has been told to let in everybody.
  const isForThisMachine = options.isOpen && !options.insecure;

  /** Why there is no room for a request, and for how many seconds; `null` when there is. */
  const crowded = (address: string): readonly [string, number] | null => {
    const waitS = buckets?.take(address) ?? 0;
    if (waitS > 0) return [`more than ${rate} requests a second`, waitS];
    if (open.total <= MOST_OPEN && open.of(address) <= MOST_OPEN_OF_ONE_ADDRESS) return null;
    return ["too many requests at once", RETRY_OPEN_S];
  };

  app.decorateRequest("caller", null as never);
  app.decorateRequest("door", null);
  app.decorateRequest("patience", null as never);
  app.addHook("onRequest", async (request, reply) => {
    const address = networkOf(request.raw.socket.remoteAddress);
    const controller = new AbortController();
    waiting.add(controller);
    open.add(address);
    const answered = measures.requestBegun(request, reply);
    setMaxListeners(0, controller.signal);
    request.patience = controller.signal;
    // It also closes after an answer.
    reply.raw.once("close", () => {
      waiting.delete(controller);
      open.remove(address);
      answered();
      controller.abort(new HoldlineError("interrupted", "the client has gone"));
    });
    // The request may have come in while the server was shutting down.
    if (signal.aborted) endAll();
    request.door = access.doorFor(null);
    const crowd = crowded(address);
    if (crowd !== null) return refuseForNow(request, reply, ...crowd);
    const problem = originProblem(request.method, request.headers, isForThisMachine);
    if (problem !== null) return refuse(reply, errorFormOf(request), { status: 403, kind: "not-allowed", message: problem });
    if (request.routeOptions.config.isForAnybody === true) {
      request.caller = NOBODY;
      return;
    }
    const identified = await access.identify(request, address);
    if (identified.outcome === "known") {
      const { caller } = identified;
      request.caller = caller;
      request.door = access.doorFor(caller);
      const signedOut = (): void => controller.abort(new HoldlineError("interrupted", "the session of the page has ended"));
      caller.session?.ended.addEventListener("abort", signedOut, { signal: controller.signal });
      return;
    }
    if (identified.outcome === "too-many")
      return refuseForNow(request, reply, "too many attempts at credentials", identified.retryAfterS);
    challenge(request, reply);
    const message = "this needs valid credentials";
    return refuse(reply, errorFormOf(request), { status: 401, kind: "not-allowed", message });
  });
}

function refuseForNow(request: FastifyRequest, reply: FastifyReply, why: string, waitS: number): FastifyReply {
  void reply.header("Retry-After", String(Math.ceil(waitS)));
  return refuse(reply, errorFormOf(request), {
    status: 429,
    kind: "too-many",
    message: `${why} come from this address; try later`,
  });
}
