// The queue engine keeps a coordinator's promises over the thin seam, whether the store puts away by itself what ended sessions have
// left, as etcd does, or leaves that to whoever meets it, as a table of rows does.
import { describeCoordinator } from "../coordinators/conformance.js";
import { openMemoryTestStore } from "./memory/test-store.js";

for (const [name, putsAway] of [
  ["the queue engine over a store that puts ended sessions away", true],
  ["the queue engine over a store that leaves ended sessions lying", false],
] as const) {
  describeCoordinator(name, {
    hasFaults: true,
    // A session lasts 4 s without its process.
    goneWithinMs: 15_000,
    open: async () => openMemoryTestStore({ putsAway }),
  });
}
