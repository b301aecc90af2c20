// The server as a whole: who is let in, how large and how long a request may be, what an error looks like, and which routes
// there are. What a route does is in its own file.
import { setMaxListeners } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import swagger from "@fastify/swagger";
import Fastify from "fastify";
import type { FastifyInstance } from "fastify";
import type { ServeSettings } from "../config/settings.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { VERSION } from "../version.js";
import type { Access } from "./access.js";
import { challenge } from "./access.js";
import { refusalOf, refuse } from "./errors.js";
import { routeLocker } from "./locker.js";
import type { Service } from "./service.js";

declare module "fastify" {
  interface FastifyRequest {
    /** Aborted when nobody waits for the answer any more, or the server shuts down. */
    patience: AbortSignal;
  }
}

// Claim data has at most 64 KiB; what JSON may make of that, and what stands around it.
const LARGEST_BODY_BYTES = 512 * 1_024;
const LARGEST_HEADERS_BYTES = 16 * 1_024;
// How long a client may take to send a request. Answers may take longer: long polls and streams do.
const SLOWEST_REQUEST_MS = 20_000;

export async function buildApp(service: Service, serve: ServeSettings, access: Access): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: LARGEST_BODY_BYTES,
    requestTimeout: SLOWEST_REQUEST_MS,
    // On shutdown, connections that wait for nothing are closed, and the others with their answers.
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: LARGEST_HEADERS_BYTES, ignoreTrailingSlash: false },
    // Values stay what they are: a number is no text. What a query string says is read by its route.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
    http: { maxHeaderSize: LARGEST_HEADERS_BYTES },
    ...(serve.cert === null || serve.key === null ? {} : { https: tlsOf(serve.cert, serve.key, serve.clientCa) }),
  } as object) as unknown as FastifyInstance<Server, IncomingMessage, ServerResponse>;

  // Whatever a body says of itself, it is JSON: curl's -d says that it is a form.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, text, done) => {
    try {
      done(null, parseBody(String(text)));
    } catch (error) {
      done(Object.assign(new Error(`the body is no JSON: ${messageOf(error)}`), { statusCode: 400 }), undefined);
    }
  });
  app.decorateRequest("caller", null as never);
  app.decorateRequest("patience", null as never);
  const waiting = new Set<AbortController>();
  service.signal.addEventListener("abort", () => waiting.forEach((request) => request.abort(service.signal.reason)), {
    once: true,
  });
  app.addHook("onRequest", async (request, reply) => {
    const controller = new AbortController();
    waiting.add(controller);
    setMaxListeners(0, controller.signal);
    request.patience = controller.signal;
    // It closes after the answer as well.
    reply.raw.once("close", () => {
      waiting.delete(controller);
      controller.abort(new HoldlineError("interrupted", "the client has gone"));
    });
    const caller = await access.identify(request);
    if (caller !== null) {
      request.caller = caller;
      return;
    }
    challenge(reply);
    const message = "credentials are needed, and right ones";
    return refuse(reply, request.routeOptions.config.errors ?? "problem", { status: 401, kind: "not-allowed", message });
  });
  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error);
    if (refusal.status === 500) service.log.error({ error: messageOf(error), url: request.url }, "a request failed");
    return refuse(reply, request.routeOptions.config.errors ?? "problem", refusal);
  });
  app.setNotFoundHandler((request, reply) => {
    const message = `there is nothing at ${request.method} ${request.url.split("?")[0] ?? ""}`;
    return refuse(reply, "problem", { status: 404, kind: "nothing-there", message });
  });
  await app.register(swagger, { openapi: { openapi: "3.0.3", info: { title: "Holdline", version: VERSION } } });
  await app.register((routes) => routeLocker(routes, service));
  return app;
}

/** A document that may not have keys which other programs would stumble over. */
function parseBody(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => {
    if (key === "__proto__") throw new Error('it has a key "__proto__"');
    return value;
  });
}

function tlsOf(cert: string, key: string, clientCa: string | null): object {
  const asksForOne = clientCa === null ? {} : { ca: readFileSync(clientCa), requestCert: true, rejectUnauthorized: false };
  return { cert: readFileSync(cert), key: readFileSync(key), minVersion: "TLSv1.2", ...asksForOne };
}
