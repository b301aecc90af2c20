// What a guarded action is: a declared command with its lock, its checks and its policy. Plain data.
import type { BlockerSettings } from "../gates/blockers.js";
import type { NeededSettings } from "../gates/needed.js";
import type { WindowSettings } from "../gates/windows.js";
import type { AcquireSettings } from "../line/waiting.js";
import type { ProcessPattern } from "./machine.js";

export type { BlockerSettings, NeededSettings };

/** The time between SIGTERM and SIGKILL for a command that says nothing else. */
export const DEFAULT_KILL_AFTER_MS = 10_000;

/** A check that must succeed before the next node may go. */
export interface VerifySettings {
  readonly argv: readonly string[];
  readonly intervalMs: number;
  /** For all tries together. */
  readonly timeoutMs: number;
  /** How often in a row it must pass. */
  readonly passes: number;
}

/** A command around the action's own, under the lock: `before` drains the node, `after` undoes that. Both may run more than once. */
export interface HookSettings {
  readonly argv: readonly string[];
  /** `null`: as long as it takes. */
  readonly timeoutMs: number | null;
}

export interface AfterSettings extends HookSettings {
  /** `success`: a node whose action has failed stays drained; `always`: `after` runs then as well. */
  readonly when: "success" | "always";
}

export interface GuardedAction {
  readonly name: string;
  readonly mode: "serialize" | "serialize_process" | "reboot";
  readonly lock: string;
  /** The program and its arguments; a `shell` text has become `/bin/sh -c TEXT`. Empty where the work is only ever the caller's, between `begin` and `end`. */
  readonly argv: readonly string[];
  readonly timeoutMs: number | null;
  readonly killAfterMs: number;
  readonly acquire: AcquireSettings;
  readonly slots: number;
  /** Instead of `slots`: that many percent of the group's nodes, rounded down, at least 1. `null`: `slots` says it. */
  readonly percent: number | null;
  readonly key: string | null;
  readonly process: ProcessPattern | null;
  /** In mode `serialize_process`: whether the action has failed when no process has started since it began. */
  readonly mustRestart: boolean;
  /** What a new run does when an earlier one left something and the process has restarted since: run all the same, or not. */
  readonly alreadyRestarted: "run" | "skip";
  /** `null`: always. */
  readonly needed: NeededSettings | null;
  /** The action's own or else the general ones; none: at any time. */
  readonly windows: readonly WindowSettings[];
  readonly blockers: readonly BlockerSettings[];
  readonly before: HookSettings | null;
  readonly after: AfterSettings | null;
  readonly verify: VerifySettings | null;
  /** How long the lock is kept after success, while `verify` goes on; 0: not at all. */
  readonly soakMs: number;
  /** Exit codes of the command and of `before` that mean: not failed, not done, try later. */
  readonly notNow: readonly number[];
  readonly onFailure: "hold" | "release";
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  readonly data: unknown;
  /** The action stands for an `exec`: nobody else finishes it, and the journal keeps no attempts of it. */
  readonly isOfExec?: true;
}

/** What an action has that says nothing about when, how many, and what goes on around its command. */
export const NO_ROLLOUT = {
  percent: null,
  needed: null,
  windows: [],
  blockers: [],
  before: null,
  after: null,
  soakMs: 0,
  notNow: [],
} as const satisfies Partial<GuardedAction>;

/** Why the work of an action cannot be done by Holdline, in words; `null` where it has a command. */
export function problemWithoutCommand({ name, argv }: Pick<GuardedAction, "name" | "argv">): string | null {
  if (argv.length > 0) return null;
  return `${name} has no command: its work is its caller's, between holdline begin ${name} and holdline end ${name}`;
}
