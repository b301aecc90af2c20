// DynamoDB's protocol from end to end, on dynalite.
import { describe, inject } from "vitest";
import { freshPlace } from "../../stores/dynamodb/place.js";
import { describeOnStore } from "./suite.js";

const server = inject("dynamodb");

describe.skipIf(server.missing !== null)("dynamodb", () => {
  describeOnStore("dynamodb", () => {
    if (server.missing !== null) throw new Error(server.missing);
    return freshPlace(server).urlAt(`${server.host}:${server.port}`);
  });
});
