// Holdline's own API: everything under /v1 but FleetLock.
import type { FastifyInstance, FastifySchemaValidationError } from "fastify";
import { routeEvents } from "../events.js";
import type { Service } from "../service.js";
import { routeClaims } from "./claims.js";
import { routeFleet } from "./fleet.js";
import { routeFreezes } from "./freezes.js";
import { routeHistory } from "./history.js";
import { routeHosts } from "./hosts.js";
import { routeLeases } from "./leases.js";
import { routeLocks } from "./locks.js";

export function routeV1(app: FastifyInstance, service: Service): void {
  // A serializer made from a schema would leave out members that the schema does not name.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  app.setSchemaErrorFormatter((errors, where) => new Error(errors.map((error) => wordsOf(error, where)).join("; ")));
  routeLocks(app, service);
  routeLeases(app, service);
  routeHosts(app, service);
  routeClaims(app, service);
  routeFreezes(app, service);
  routeHistory(app, service);
  routeFleet(app, service);
  routeEvents(app, service);
  app.get("/v1/openapi.json", {
    schema: {
      operationId: "openApi",
      summary: "This document",
      tags: ["about"],
      response: { 200: { type: "object", description: "an OpenAPI document", additionalProperties: true } },
    },
    handler: () => app.swagger(),
  });
}

/** A schema's complaint about a value, with the name of an unknown member. */
function wordsOf({ instancePath, message = "is not right", params }: FastifySchemaValidationError, where: string): string {
  const unknown = params["additionalProperty"];
  if (typeof unknown === "string") return `${where}${instancePath} has no member ${JSON.stringify(unknown)}`;
  return `${where}${instancePath} ${message}`;
}
