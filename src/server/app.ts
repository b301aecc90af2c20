// The server as a whole: who is let in, how large and how long a request may be, what an error looks like, and which routes
// there are. What a route does is in its own file.
import swagger from "@fastify/swagger";
import Fastify from "fastify";
import type { FastifyInstance } from "fastify";
import { messageOf } from "../locks/errors.js";
import { VERSION } from "../version.js";
import type { Access } from "./access.js";
import { admitRequests } from "./admission.js";
import { errorFormOf, refusalOf, refuse } from "./errors.js";
import { routeFleetLock } from "./fleetlock.js";
import { routeHealth } from "./health.js";
import { routeLocker } from "./locker.js";
import type { Measures } from "./measures.js";
import { routeMetrics } from "./metrics.js";
import type { ServeOptions } from "./options.js";
import { routePage } from "./page/routes.js";
import type { Service } from "./service.js";
import { routeSession } from "./session/routes.js";
import { routeV1 } from "./v1/routes.js";
import type { Sockets } from "./sockets.js";
import { LARGEST_HEADERS_BYTES } from "./sockets.js";

// Claim data has at most 64 KiB; what JSON may make of that, and what stands around it.
const LARGEST_BODY_BYTES = 512 * 1_024;

/** What stands around the routes. */
export interface Surround {
  readonly access: Access;
  readonly measures: Measures;
  readonly sockets: Sockets;
}

// Refuses what is no text: otherwise two keys that differ could both be read as the same.
const UTF8 = new TextDecoder("utf-8", { fatal: true });

export async function buildApp(
  service: Service,
  options: ServeOptions,
  { access, measures, sockets }: Surround,
): Promise<FastifyInstance> {
  const app = Fastify({
    serverFactory: (handler) => sockets.create(handler),
    // The sockets have answered.
    clientErrorHandler: () => undefined,
    bodyLimit: LARGEST_BODY_BYTES,
    // On shutdown, connections that wait for nothing are closed, and the others with their answers.
    forceCloseConnections: "idle",
    // FleetLock's clients put their path behind an address that may end in a slash of its own.
    rewriteUrl: ({ url = "/" }) => url.replace(/^\/{2,}/, "/"),
    routerOptions: { maxParamLength: LARGEST_HEADERS_BYTES, ignoreTrailingSlash: false },
    // Values stay what they are: a number is no text. What a query string says is read by its route.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
  });

  // Whatever a body says of itself, it is JSON: curl's -d says that it is a form.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => {
    try {
      done(null, parseBody(UTF8.decode(body as Buffer)));
    } catch (error) {
      done(Object.assign(new Error(`the body is no JSON: ${messageOf(error)}`), { statusCode: 400 }), undefined);
    }
  });
  admitRequests(app, options, { access, measures, signal: service.signal });
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
  await app.register((routes) => routeMetrics(routes, service, measures));
  await app.register((routes) => routeLocker(routes, service));
  await app.register((routes) => routePage(routes, service));
  await app.register((routes) => routeSession(routes, access, options.cert !== null));
  await app.register((routes) => routeFleetLock(routes, service));
  await app.register((routes) => routeV1(routes, service));
  return app;
}

/** A document that may not have keys which other programs would stumble over. */
function parseBody(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => {
    if (key === "__proto__") throw new Error('it has a key "__proto__"');
    return value;
  });
}
