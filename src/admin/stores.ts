// The stores that the configuration names, and which of them has a lock: what everything here is asked of. The runtime
// makes it.
import { coordinatorsInForce, settingsOfLock } from "../config/locks.js";
import type { Perspective } from "../line/perspective.js";
import type { Settings } from "../config/settings.js";
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";

export interface Stores {
  readonly settings: Settings;
  /** The store of a lock's queue, opened with the first call for any of its locks; the runtime closes it. */
  coordinator(lock: string): Promise<Coordinator>;
  /** All stores that the configuration names, for what may be in any of them; the general one first. */
  coordinators(): Promise<readonly Coordinator[]>;
  readonly perspective: Perspective;
  /** The pids of the claim's command that are seen to live on this machine; none where they run elsewhere or cannot be seen. */
  commandPids(claim: Claim): Promise<readonly number[]>;
}

/** A store that the configuration names, and whether it is the one for a lock. */
export interface Store {
  readonly coordinator: Coordinator;
  /** Nobody with this configuration looks for a lock's queue, or its history, anywhere else. */
  readonly isFor: (lock: string) => boolean;
}

/** All stores, or the one of `only`. */
export async function storesFor(stores: Stores, only: string | null): Promise<readonly Store[]> {
  if (only !== null) return [{ coordinator: await stores.coordinator(only), isFor: () => true }];
  const { settings } = stores;
  const urls = coordinatorsInForce(settings);
  const coordinators = await stores.coordinators();
  return coordinators.map((coordinator, index) => ({
    coordinator,
    isFor: (lock) => urls.length === 1 || settingsOfLock(settings, lock).coordinator === urls[index],
  }));
}
