// What every request passes before its route sees it: is there room for it, does it come from where it says, who makes it.
// A request that is let in has a caller, and a signal that says when nobody waits for its answer any more.
import { setMaxListeners } from "node:events";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { HoldlineError } from "../locks/errors.js";
import type { Access } from "./access.js";
import { challenge, NOBODY } from "./access.js";
import { errorFormOf, refuse } from "./errors.js";
import { Buckets, networkOf, Tally } from "./limits.js";
import type { Measures } from "./measures.js";
import type { ServeOptions } from "./options.js";
import { originProblem } from "./origin.js";

declare module "fastify" {
  interface FastifyRequest {
    /** Aborted when nobody waits for the answer any more, or the server shuts down. */
    patience: AbortSignal;
  }
  interface FastifyContextConfig {
    /** The route needs no credentials, and has no caller that may do anything. */
    readonly isForAnybody?: boolean;
  }
}

// Requests that are being answered, which long polls and streams are for hours: some ten kilobytes each.
const MOST_OPEN = 8_000;
const MOST_OPEN_OF_ONE_ADDRESS = 2_500;
const RETRY_OPEN_S = 10;

export interface Admission {
  readonly access: Access;
  readonly measures: Measures;
  /** Aborted when the server shuts down. */
  readonly signal: AbortSignal;
}

export function admitRequests(app: FastifyInstance, options: ServeOptions, { access, measures, signal }: Admission): void {
  const { rate } = options;
  const buckets = rate === 0 ? null : new Buckets(rate, rate);
  const open = new Tally();
  const waiting = new Set<AbortController>();
  const endAll = (): void => waiting.forEach((request) => request.abort(signal.reason));
  signal.addEventListener("abort", endAll, { once: true });
  // Whoever may lock without credentials is on this machine, unless the server has been told to let in everybody.
  const isForThisMachine = options.isOpen && !options.insecure;

  /** Why there is no room for the request, and for how long. */
  const crowded = (address: string): readonly [string, number] | null => {
    const waitS = buckets?.take(address) ?? 0;
    if (waitS > 0) return [`more than ${rate} requests a second`, waitS];
    if (open.total <= MOST_OPEN && open.of(address) <= MOST_OPEN_OF_ONE_ADDRESS) return null;
    return ["too many requests that are still being answered", RETRY_OPEN_S];
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
    // It closes after the answer as well.
    reply.raw.once("close", () => {
      waiting.delete(controller);
      open.remove(address);
      answered();
      controller.abort(new HoldlineError("interrupted", "the client has gone"));
    });
    // It may have come in on its way out.
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
    const message = "credentials are needed, and right ones";
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
