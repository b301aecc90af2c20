// The settings in force, after the file, the environment and the flags have been put together. Plain data.
import type { GuardedAction } from "../actions/action.js";
import type { AcquireSettings } from "../line/waiting.js";
import type { DependencyMap } from "../leases/dependencies.js";

export type { GuardedAction as ActionSettings, VerifySettings } from "../actions/action.js";
export type { AcquireSettings } from "../line/waiting.js";

/** Defaults for leases and host locks of one name; `null` where nothing is said. */
export interface LockSettings {
  readonly ttlMs: number | null;
  readonly principal: string | null;
  /** The URL of its store. */
  readonly coordinator: string | null;
}

export type Right = "read" | "lock" | "clear";

/** What those may do who have some credentials. */
export interface AccessEntry {
  /** Hashes of the secrets; `null` where there is none. */
  readonly password: string | null;
  readonly token: string | null;
  /** The common name of a client's certificate. */
  readonly certificate: string | null;
  readonly may: readonly Right[];
  /** Patterns of locks' names. */
  readonly locks: readonly string[];
}

/** What `holdline serve` listens on. Paths are absolute. */
export interface ServeSettings {
  readonly listen: string;
  readonly port: number;
  /** Certificate and key in PEM form, both or neither. */
  readonly cert: string | null;
  readonly key: string | null;
  readonly clientCa: string | null;
  /** Requests a second from one address, and as many more at once; 0: any number. */
  readonly rate: number;
}

/** How much of the history is kept. */
export interface HistorySettings {
  /** Records of each lock. */
  readonly keep: number;
  /** `null`: however old they are. */
  readonly forMs: number | null;
  /** Records of all locks together. */
  readonly total: number;
}

/** Who said what is in force of a setting. */
export type SettingOrigin = "default" | "file" | "environment" | "flag";

export interface Settings {
  /** The file that was read, or `null` when there was none. */
  readonly file: string | null;
  readonly node: string;
  readonly principal: string;
  readonly coordinator: string;
  readonly stateDir: string;
  readonly acquire: AcquireSettings;
  readonly connectTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly releaseTimeoutMs: number;
  readonly skipCoordination: boolean;
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" | "silent"; readonly format: "auto" | "text" | "json" };
  readonly history: HistorySettings;
  /** In the file's order. */
  readonly actions: readonly GuardedAction[];
  /** By name; `default` serves all others. See `settingsOfLock`. */
  readonly locks: ReadonlyMap<string, LockSettings>;
  /** By host, those that depend on it. */
  readonly dependencies: DependencyMap;
  readonly serve: ServeSettings;
  /** By name: what may be done with whose credentials. */
  readonly access: ReadonlyMap<string, AccessEntry>;
  /** By name: how many machines of a group may reboot at once. */
  readonly groups: ReadonlyMap<string, number>;
  /** By the setting's path in the file (`acquire.timeout`), for `check`; not there for settings that were made by hand. */
  readonly origins?: ReadonlyMap<string, SettingOrigin>;
  /** Warnings: configuration files that were found and may not be used. */
  readonly passedOver?: readonly string[];
}
