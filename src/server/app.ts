// The server as a whole: how large a request may be, how bodies are parsed, what an error looks like, and which routes there
// are. What a route does is in its own file.
import swagger from "@fastify/swagger";
import Fastify from "fastify";
import type { FastifyInstance } from "fastify";
import { messageOf } from "../locks/errors.js";
import { VERSION } from "../version.js";
import { admitRequests } from "./admission.js";
import { errorFormOf, refusalOf, refuse } from "./errors.js";
import { routeFleetLock } from "./fleetlock.js";
import { routeHealth } from "./health.js";
import { routeLocker } from "./locker.js";
import { routeMetrics } from "./metrics.js";
import type { ServeOptions } from "./options.js";
import { routePage } from "./page/routes.js";
import type { Service } from "./service.js";
import { routeSession } from "./session/routes.js";
import { routeV1 } from "./v1/routes.js";
import type { Sockets } from "./sockets.js";
import { LARGEST_HEADERS_BYTES } from "./sockets.js";

// A claim's data has at most 64 KiB, which JSON's escapes may make several times as long.
const LARGEST_BODY_BYTES = 512 * 1_024;

// Refuses bytes that are no text: decoded leniently, two different keys could become the same.
const UTF8 = new TextDecoder("utf-8", { fatal: true });

export async function buildApp(service: Service, options: ServeOptions, sockets: Sockets): Promise<FastifyInstance> {
  const app = Fastify({
    serverFactory: (handler) => sockets.create(handler),
    // sockets.ts has answered.
    clientErrorHandler: () => undefined,
    bodyLimit: LARGEST_BODY_BYTES,
    // On shutdown, idle connections close at once, and the others after their answers.
    forceCloseConnections: "idle",
    // FleetLock's clients append their path to an address that may end in a slash.
    rewriteUrl: ({ url = "/" }) => url.replace(/^\/{2,}/, "/"),
    routerOptions: { maxParamLength: LARGEST_HEADERS_BYTES, ignoreTrailingSlash: false },
    // No coercion: a number is no text. Each route reads its query string.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
  });

  // Every body is JSON, whatever its content type says: curl's -d says that it is a form.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => {
    try {
      done(null, parseBody(UTF8.decode(body as Buffer)));
    } catch (error) {
      done(Object.assign(new Error(`the body is no JSON: ${messageOf(error)}`), { statusCode: 400 }), undefined);
    }
  });
  admitRequests(app, service, options);
  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error);
    if (refusal.status === 500) service.log.error({ error: messageOf(error), url: request.url }, "a request failed");
    return refuse(reply, errorFormOf(request), refusal);
  });
  app.setNotFoundHandler((request, reply) => {
    const message = `there is nothing at ${request.method} ${request.url.split("?")[0] ?? ""}`;
    return refuse(reply, errorFormOf(request), { status: 404, kind: "nothing-there", message });
  });
  await app.register(swagger, { openapi: { openapi: "3.0.3", info: { title: "Holdline", version: VERSION } } });
  await app.register((routes) => routeHealth(routes, service));
  await app.register((routes) => routeMetrics(routes, service));
  await app.register((routes) => routeLocker(routes, service));
  await app.register((routes) => routePage(routes, service));
  await app.register((routes) => routeSession(routes, service, options.cert !== null));
  await app.register((routes) => routeFleetLock(routes, service));
  await app.register((routes) => routeV1(routes, service));
  return app;
}

/** JSON without keys that would change the prototypes of programs that read it. */
function parseBody(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => {
    if (key === "__proto__") throw new Error('it has a key "__proto__"');
    return value;
  });
}
