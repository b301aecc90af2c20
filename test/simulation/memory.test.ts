// The in-memory coordinator keeps the same promises as the real ones: what the simulation shows of the code above the
// seam, it shows over a store that behaves as they do.
import { describeCoordinator } from "../coordinators/conformance.js";
import { openMemoryTestStore } from "./memory/test-store.js";

describeCoordinator("the simulation's store", {
  hasFaults: true,
  // A session lasts 4 s without its process.
  goneWithinMs: 15_000,
  open: async () => openMemoryTestStore(),
});
