// The conformance suite on a real etcd, with a fault proxy for each session.
import { describe, inject } from "vitest";
import { describeCoordinator } from "../coordinators/conformance.js";
import { openEtcdTestStore } from "./etcd/test-store.js";

describe.skipIf(inject("etcd").missing !== null)("on a real server", () => {
  describeCoordinator("etcd", {
    hasFaults: true,
    // A lease outlives its process by 4 s, and one more until the server looks again.
    goneWithinMs: 15_000,
    open: () => Promise.resolve(openEtcdTestStore()),
  });
});
