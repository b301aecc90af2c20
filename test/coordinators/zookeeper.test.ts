// The conformance suite on a real ZooKeeper, with a fault proxy for each session.
import { inject } from "vitest";
import { freshRoot } from "../support/roots.js";
import { describeCoordinator } from "./conformance.js";
import { openZooKeeperTestStore } from "./zookeeper/test-store.js";

describeCoordinator("ZooKeeper", {
  hasFaults: true,
  // A session outlives its process by 4 s, and the server checks at every tick.
  goneWithinMs: 15_000,
  open: async () => {
    const [server, root] = [inject("zookeeper"), freshRoot()];
    return openZooKeeperTestStore({ server, root, urlAt: (address) => `zookeeper://${address}${root}` });
  },
});
