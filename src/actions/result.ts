// What became of a guarded action: the record that callers get, as docs/commands.md describes it under JSON. Plain data.

/**
 * How a run ended.
 *
 * - `ran`: the command succeeded, and so did its check.
 * - `already-restarted`: the process has restarted since the wish; released, not run.
 * - `already-done`: the journal says that an earlier run succeeded; released, not run.
 * - `failed`: the command or its check failed.
 * - `not-needed`: nothing has to be done; what was pending is over.
 * - `outside-window`, `frozen`, `blocked`: a gate is shut; nothing ran.
 * - `not-now`: the command, or `before`, has said so (`not_now`), or the system had no room to start it.
 * - `begun`: `begin` has the claim, and the work is the caller's.
 * - `would-run`, `would-wait`: what a dry run has found.
 * - `rebooting`: the machine has been asked to reboot; `resume` goes on after that.
 * - `timed-out`: the turn did not come in time; nothing ran.
 * - `unreachable`: the coordinator did not answer. Nothing ran, unless `ranMs` says otherwise: then the lock could not be released.
 */
export type Outcome =
  | "ran"
  | "already-restarted"
  | "already-done"
  | "not-needed"
  | "failed"
  | "outside-window"
  | "frozen"
  | "blocked"
  | "not-now"
  | "timed-out"
  | "begun"
  | "would-run"
  | "would-wait"
  | "rebooting"
  | "unreachable";

export interface Result {
  /** The declared action; `null` for `exec`. */
  readonly action: string | null;
  readonly lock: string;
  readonly outcome: Outcome;
  /** The claim's id; `null` where there was none. */
  readonly claim: string | null;
  readonly fencingToken: number | null;
  /** Whether it ran under its lock: not with `skip_coordination`. */
  readonly coordinated: boolean;
  readonly waitedMs: number;
  /** `null` when nothing ran. */
  readonly ranMs: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why it failed, or what it waited for, in words. Empty where the outcome says it all. */
  readonly message: string;
  /** Outside its windows: when the next one opens, ISO 8601 in UTC by the node's clock. Missing with every other outcome. */
  readonly nextAt?: string;
  /** Not begun, and to be tried again: how many attempts there have been at what was wished. Missing with every other outcome. */
  readonly attempts?: number;
}
