// PostgreSQL from end to end.
import { describe, inject } from "vitest";
import { freshSchema } from "../../stores/postgresql/place.js";
import { describeOnStore } from "./suite.js";

const server = inject("postgresql");

describe.skipIf(server.missing !== null)("postgresql", () => {
  describeOnStore("postgresql", () => {
    if (server.missing !== null) throw new Error(server.missing);
    return `postgresql://postgres@${server.host}:${server.port}/postgres?schema=${freshSchema()}&sslmode=disable`;
  });
});
