// The settings in force, after the file, the environment and the flags have been put together. Plain data.
import type { ProcessPattern } from "../actions/machine.js";

export interface AcquireSettings {
  readonly sleepTimeMs: number;
  /** 0: do not wait; `null`: wait for ever. */
  readonly timeoutMs: number | null;
}

export interface VerifySettings {
  readonly argv: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export interface ActionSettings {
  readonly name: string;
  readonly mode: "serialize" | "serialize_process";
  readonly lock: string;
  /** The program and its arguments; a `shell` text has become `/bin/sh -c TEXT`. */
  readonly argv: readonly string[];
  readonly timeoutMs: number | null;
  readonly killAfterMs: number;
  readonly acquire: AcquireSettings;
  readonly slots: number;
  readonly key: string | null;
  readonly process: ProcessPattern | null;
  readonly verify: VerifySettings | null;
  readonly onFailure: "hold" | "release";
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  readonly data: unknown;
}

/** Defaults for leases and host locks of one name; `null` where nothing is said. */
export interface LockSettings {
  readonly ttlMs: number | null;
  readonly principal: string | null;
}

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
  readonly history: { readonly keep: number };
  /** In the file's order. */
  readonly actions: readonly ActionSettings[];
  readonly locks: ReadonlyMap<string, LockSettings>;
}
