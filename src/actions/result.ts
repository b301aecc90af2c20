// What became of a guarded action: the record that callers get, as docs/commands.md describes it under JSON. Plain data.

/**
 * How a run ended.
 *
 * - `ran`: the command succeeded, and so did its check.
 * - `already-restarted`: the process has restarted since the claim was made; released, not run.
 * - `already-done`: the journal says that it had succeeded; released, not run.
 * - `failed`: the command or its check failed.
 * - `not-now`: the system had no room to start the command; nothing was run.
 * - `timed-out`: the lock was not to be had in time; nothing was run.
 * - `unreachable`: the coordinator did not answer; nothing was run.
 */
export type Outcome = "ran" | "already-restarted" | "already-done" | "failed" | "not-now" | "timed-out" | "unreachable";

export interface Result {
  /** The declared action; `null` for `exec`. */
  readonly action: string | null;
  readonly lock: string;
  readonly outcome: Outcome;
  /** The claim's id; `null` when there was none. */
  readonly claim: string | null;
  readonly fencingToken: number | null;
  /** Was it done under a lock? Not with `skip_coordination`. */
  readonly coordinated: boolean;
  readonly waitedMs: number;
  /** `null` when nothing was run. */
  readonly ranMs: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** In words: why it failed, what it waited for. Empty where the outcome says it all. */
  readonly message: string;
}
