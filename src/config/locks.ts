// Parses the `locks` and `dependencies` of a configuration: defaults for locks by name, and which hosts depend on which. Knows
// which settings are in force for a lock.
import { canonicalHost, hostProblem } from "../locks/names.js";
import type { DependencyMap } from "../leases/dependencies.js";
import { mayBeSame } from "../leases/hosts.js";
import { quoted } from "../locks/text.js";
import type { KeyDoc } from "./keys.js";
import { readDurationMs, readIfThere, readKnownMap, readLabel, readLockName, readMap, readText } from "./field.js";
import type { Field } from "./field.js";
import { readCoordinator } from "./schema.js";
import type { LockSettings, SettingOrigin, Settings } from "./settings.js";

/** The keys of a lock's defaults. */
export const LOCK_KEYS: readonly KeyDoc[] = [
  { key: "ttl", default: "30 min", doc: "how long a lease on it lasts unless --ttl says (`lock`: until it is unlocked)" },
  { key: "principal", default: "the general one", doc: "in whose name it is leased" },
  { key: "coordinator", default: "the general one", doc: "the store of its queue, as a URL" },
];

/** The name under `locks:` whose settings hold for all locks without their own. */
export const DEFAULT_LOCK = "default";

/** How long a lease lasts by default, in milliseconds. */
export const DEFAULT_TTL_MS = 30 * 60_000;

const NOTHING_SAID: LockSettings = { ttlMs: null, principal: null, coordinator: null };

/** Parses `locks:`. Records the problems of a wrong entry and leaves it out. */
export function parseLocks(field: Field | undefined): ReadonlyMap<string, LockSettings> {
  const locks = new Map<string, LockSettings>();
  const known = LOCK_KEYS.map(({ key }) => key);
  for (const [name, child] of (field && readMap(field)) ?? []) {
    const lock = readLockName({ ...child, value: name });
    const keys = lock === undefined ? undefined : readKnownMap(child, known);
    if (lock === undefined || keys === undefined) continue;
    const ttlMs = readIfThere(keys.get("ttl"), readTtlMs, null);
    const principal = readIfThere(keys.get("principal"), readLabel, null);
    const coordinator = readIfThere(keys.get("coordinator"), readCoordinator, null);
    if (ttlMs === undefined || principal === undefined || coordinator === undefined) continue;
    locks.set(lock, { ttlMs, principal, coordinator });
  }
  return locks;
}

/** How long a lease lasts, in milliseconds. No timer runs for it, so it may be long. */
export function readTtlMs(field: Field): number | undefined {
  return readDurationMs(field, { most: Number.MAX_SAFE_INTEGER });
}

/** What is in force for a lock. */
export interface LockInForce {
  /** `null` if the configuration gives none. */
  readonly ttlMs: number | null;
  readonly principal: string;
  readonly coordinator: string;
}

/**
 * The settings of one lock: its own, else those of `default`, else the general ones. The environment and flags win over
 * the file, also over the lock's own settings there.
 */
export function settingsOfLock(settings: Settings, lock: string): LockInForce {
  const own = settings.locks.get(lock) ?? NOTHING_SAID;
  const general = settings.locks.get(DEFAULT_LOCK) ?? NOTHING_SAID;
  const isFixed = (setting: string): boolean => FIXING.has(settings.origins?.get(setting) ?? "default");
  return {
    ttlMs: own.ttlMs ?? general.ttlMs,
    principal: isFixed("principal") ? settings.principal : (own.principal ?? general.principal ?? settings.principal),
    coordinator: isFixed("coordinator") ? settings.coordinator : (own.coordinator ?? general.coordinator ?? settings.coordinator),
  };
}

const FIXING: ReadonlySet<SettingOrigin> = new Set(["environment", "flag"]);

/** The URLs of all stores that locks can be in, each once; first the one for locks without their own. */
export function coordinatorsInForce(settings: Settings): readonly string[] {
  return [...new Set([DEFAULT_LOCK, ...settings.locks.keys()].map((lock) => settingsOfLock(settings, lock).coordinator))];
}

/** Parses a map of hosts. Each key is a host; its value names the hosts that depend on it, as a list or as one name. */
export function parseDependencies(field: Field | undefined): DependencyMap {
  const map = new Map<string, readonly string[]>();
  for (const [name, child] of (field && readMap(field)) ?? []) {
    const host = readHost({ ...child, value: name });
    const dependents = readHosts(child);
    if (host === undefined || dependents === undefined) continue;
    map.set(host, [...new Set([...(map.get(host) ?? []), ...dependents])]);
  }
  refuseTwoNames(field, map);
  return map;
}

/** A host with two names in the map would lack its dependencies under one of them. */
function refuseTwoNames(field: Field | undefined, map: DependencyMap): void {
  const names = new Set([...map].flatMap(([host, dependents]) => [host, ...dependents]));
  for (const short of names) {
    const [full, ...others] = [...names].filter((name) => name.length > short.length && mayBeSame(short, name));
    if (full === undefined || others.length > 0) continue;
    field?.refuse(`has ${quoted(short)} and ${quoted(full)}, which are one host; use the same name everywhere`);
  }
}

function readHosts(field: Field): readonly string[] | undefined {
  const { value } = field;
  if (value === null) return [];
  if (!Array.isArray(value)) {
    const only = readHost(field);
    return only === undefined ? undefined : [only];
  }
  const hosts = value.map((item, index) => readHost(field.child(String(index), item)));
  return hosts.includes(undefined) ? undefined : (hosts as readonly string[]);
}

function readHost(field: Field): string | undefined {
  const text = readText(field);
  if (text === undefined) return undefined;
  const host = canonicalHost(text);
  const problem = hostProblem(host);
  return problem === null ? host : field.refuse(`a host's name ${problem}; write for example "dc01"`);
}
