// The conformance suite on a real PostgreSQL server, with a fault proxy for each session.
import { describe, inject } from "vitest";
import { describeCoordinator } from "../coordinators/conformance.js";
import { openPostgresTestStore } from "./postgresql/place.js";

const server = inject("postgresql");

describe.skipIf(server.missing !== null)(`PostgreSQL${server.missing === null ? "" : ` (${server.missing})`}`, () => {
  describeCoordinator("PostgreSQL", {
    hasFaults: true,
    // A session outlives its process by 4 s, and who watches looks when it is due.
    goneWithinMs: 10_000,
    open: async () => {
      if (server.missing !== null) throw new Error(server.missing);
      return openPostgresTestStore(server);
    },
  });
});
