// Perspectives for tests that see no processes: what they know of a claim's owner is what the store says.
import { createPerspective, type Perspective } from "../../src/line/perspective.js";

const self = { bootId: null, pidNamespace: null, pid: 1, startTicks: null };

/** An owner is gone when the store says that it is not connected. */
export const BY_STORE: Perspective = createPerspective({
  node: "nowhere",
  machineOn: () => null,
  processes: { self, isAlive: () => null },
});

/** No owner is gone. */
export const NONE_GONE: Perspective = { ...BY_STORE, isOwnerGone: () => false };

/** Every owner is gone. */
export const ALL_GONE: Perspective = { ...BY_STORE, isOwnerGone: () => true };
