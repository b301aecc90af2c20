// The stores that the configuration names, and which of them a lock is in. The runtime makes the real thing.
import { coordinatorsInForce, DEFAULT_LOCK, settingsOfLock } from "../config/locks.js";
import { redactUrl } from "../config/secrets.js";
import type { Settings } from "../config/settings.js";
import type { Perspective } from "../line/perspective.js";
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { hostOfLock } from "../locks/names.js";
import { matchesPattern } from "../locks/patterns.js";

export interface Stores {
  readonly settings: Settings;
  /** The store of a lock's queue, opened with the first call for any of its locks; the runtime closes it. */
  coordinator(lock: string): Promise<Coordinator>;
  /** All stores that the configuration names, the general one first. */
  coordinators(): Promise<readonly Coordinator[]>;
  readonly perspective: Perspective;
  /** The pids of the claim's command that this machine sees alive; empty where the command runs elsewhere or cannot be seen. */
  readonly commandPids: (claim: Claim) => Promise<readonly number[]>;
}

/** A store that the configuration names, and the locks in it. */
export interface Store {
  readonly coordinator: Coordinator;
  /** Whether this configuration puts a lock's queue and history into this store. */
  readonly isFor: (lock: string) => boolean;
}

/** A store by the name that its URL may be shown as. */
export interface NamedStore {
  readonly name: string;
  /** Opens it with the first call. */
  open(): Promise<Coordinator>;
}

/** The stores that may have locks which one of the patterns matches, the general one first; all of them with `null`. */
export function storesMatching(stores: Stores, patterns: readonly string[] | null): readonly NamedStore[] {
  const { settings } = stores;
  const named = [...settings.locks.keys()].filter((lock) => lock !== DEFAULT_LOCK);
  const mayHave = (pattern: string, url: string): boolean => {
    // A pattern without a * is one lock's name.
    if (!pattern.includes("*")) return settingsOfLock(settings, pattern).coordinator === url;
    // Any number of locks that no setting names are in the general store.
    if (settingsOfLock(settings, DEFAULT_LOCK).coordinator === url) return true;
    return named.some((lock) => matchesPattern(pattern, lock) && settingsOfLock(settings, lock).coordinator === url);
  };
  return coordinatorsInForce(settings)
    .filter((url) => patterns === null || patterns.some((pattern) => mayHave(pattern, url)))
    .map((url) => {
      const lock = [DEFAULT_LOCK, ...named].find((name) => settingsOfLock(settings, name).coordinator === url) ?? DEFAULT_LOCK;
      return { name: redactUrl(url), open: () => stores.coordinator(lock) };
    });
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

/**
 * Locks that are taken together are taken in one transaction, and so in one store.
 * @throws HoldlineError `configuration` that names the two locks and what would be right
 */
export function refuseSeveralStores(settings: Settings, locks: readonly string[]): void {
  const [first, ...others] = locks;
  if (first === undefined) return;
  const store = settingsOfLock(settings, first).coordinator;
  const stray = others.find((lock) => settingsOfLock(settings, lock).coordinator !== store);
  if (stray === undefined) return;
  const file = settings.file === null ? "" : `${settings.file}: `;
  throw new HoldlineError(
    "configuration",
    `${file}locks: ${first} and ${stray} are to be locked together, and are on different coordinators`,
    { hint: `right would be the same coordinator for both; or lock ${hostOfLock(first) ?? first} without what it depends on` },
  );
}
