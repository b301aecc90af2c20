// The types of the settings in force, after load.ts has put file, environment and flags together.
import type { GuardedAction } from "../actions/action.js";
import type { WindowSettings } from "../gates/windows.js";
import type { AcquireSettings } from "../line/waiting.js";
import type { DependencyMap } from "../leases/dependencies.js";

export type { GuardedAction as ActionSettings, VerifySettings } from "../actions/action.js";
export type { AcquireSettings } from "../line/waiting.js";

/** Defaults for leases and host locks of one name; `null` if the configuration gives none. */
export interface LockSettings {
  readonly ttlMs: number | null;
  readonly principal: string | null;
  /** The URL of its store. */
  readonly coordinator: string | null;
}

export type Right = "read" | "lock" | "clear";

/** Credentials, and what a caller may do with them. */
export interface AccessEntry {
  /** The secret's hash; `null` without one. */
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
  /** Requests per second from one address, and as many more in a burst; 0: no limit. */
  readonly rate: number;
}

/** How much history to keep. */
export interface HistorySettings {
  /** Records of each lock. */
  readonly keep: number;
  /** The age of the oldest record, in milliseconds; `null`: no limit. */
  readonly forMs: number | null;
  /** Records of all locks together. */
  readonly total: number;
}

/** What somebody wants to be told of. `frozen` is a freeze's end as well. */
export const NOTIFY_EVENTS = ["failed", "stale", "recovered", "cleared", "frozen"] as const;
export type NotifyEvent = (typeof NOTIFY_EVENTS)[number];

/** Who is told of what: a command that reads the event on its standard input, or a URL to which it is posted. */
export interface NotifySettings {
  readonly on: readonly NotifyEvent[];
  readonly to: { readonly argv: readonly string[] } | { readonly url: string };
}

/** Where a setting's value comes from. */
export type SettingOrigin = "default" | "file" | "environment" | "flag";

export interface Settings {
  /** The configuration file; `null` without one. */
  readonly file: string | null;
  readonly node: string;
  /** The group that this node counts with in percentages, freezes and rollouts. */
  readonly group: string;
  /** How long a node counts for percentages after it was last seen, in milliseconds. */
  readonly membershipMs: number;
  /** For actions without windows of their own. */
  readonly windows: readonly WindowSettings[];
  readonly notify: readonly NotifySettings[];
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
  /** By name; `default` holds for all others. See `settingsOfLock`. */
  readonly locks: ReadonlyMap<string, LockSettings>;
  /** For each host, the hosts that depend on it. */
  readonly dependencies: DependencyMap;
  readonly serve: ServeSettings;
  /** By the caller's name. */
  readonly access: ReadonlyMap<string, AccessEntry>;
  /** By name: how many machines of a group may reboot at once. */
  readonly groups: ReadonlyMap<string, number>;
  /** By the setting's path in the file (`acquire.timeout`); missing in settings that code made. */
  readonly origins?: ReadonlyMap<string, SettingOrigin>;
  /** Warnings: which configuration files were found but may not be used, and why. */
  readonly passedOver?: readonly string[];
}
