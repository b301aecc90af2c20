// What became of a guarded action: the record that callers get, as docs/commands.md describes it under JSON. Plain data.

/**
 * How a run ended.
 *
 * - `ran`: the command succeeded, and so did its check.
 * - `already-restarted`: the process has restarted since the wish; released, not run.
 * - `already-done`: the journal says that an earlier run succeeded; released, not run.
 * - `failed`: the command or its check failed.
 * - `not-now`: the system had no room to start the command; nothing ran.
 * - `timed-out`: the turn did not come in time; nothing ran.
 * - `unreachable`: the coordinator did not answer. Nothing ran, unless `ranMs` says otherwise: then the lock could not be released.
 */
export type Outcome = "ran" | "already-restarted" | "already-done" | "failed" | "not-now" | "timed-out" | "unreachable";

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
}
