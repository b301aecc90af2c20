// The conformance suite on DynamoDB's protocol, as dynalite speaks it, with a fault proxy for each session.
import { describe, inject } from "vitest";
import { describeCoordinator } from "../coordinators/conformance.js";
import type { Target } from "../support/framed-proxy.js";
import { freshPlace } from "./dynamodb/place.js";
import { openNetworkTestStore } from "./network/test-store.js";

const server = inject("dynamodb");

describe.skipIf(server.missing !== null)("on dynalite", () => {
  describeCoordinator("DynamoDB", {
    hasFaults: true,
    // A session outlives its process by 4 s, of which others have to see the whole, and they look four times within it.
    goneWithinMs: 15_000,
    open: async () => openNetworkTestStore(freshPlace(server as Target)),
  });
});
