// What a guarded action is: a declared command with its lock, its checks and its policy. Plain data.
import type { AcquireSettings } from "../line/waiting.js";
import type { ProcessPattern } from "./machine.js";

/** The time between SIGTERM and SIGKILL for a command that says nothing else. */
export const DEFAULT_KILL_AFTER_MS = 10_000;

/** A check that must succeed before the next node may go. */
export interface VerifySettings {
  readonly argv: readonly string[];
  readonly intervalMs: number;
  /** For all tries together. */
  readonly timeoutMs: number;
}

export interface GuardedAction {
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
  /** In mode `serialize_process`: whether the action has failed when no process has started since it began. */
  readonly mustRestart: boolean;
  /** What a new run does when an earlier one left something and the process has restarted since: run all the same, or not. */
  readonly alreadyRestarted: "run" | "skip";
  readonly verify: VerifySettings | null;
  readonly onFailure: "hold" | "release";
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  readonly data: unknown;
  /** The action stands for an `exec`: nobody else finishes it, and the journal keeps no attempts of it. */
  readonly isOfExec?: true;
}
