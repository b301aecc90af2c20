// Every exit code, and the code of each error and each outcome. The tables do not compile if one is missing.
import { constants } from "node:os";
import type { ExecEnd } from "../actions/exec.js";
import { InterruptedError } from "../actions/stop.js";
import type { Outcome, Result } from "../actions/result.js";
import { HoldlineError } from "../locks/errors.js";
import type { ErrorCode } from "../locks/errors.js";
import type { Acquired } from "../leases/acquiring.js";
import type { Released, Renewed } from "../leases/lease.js";

/** The meanings of exit codes, for scripts and timers. */
export const EXIT_CODES = {
  0: "done, or nothing to do",
  1: "nothing there, or no (`locks LOCK`, `clear`, `current`, `is-held`, `test`, `data`, `unlock --ensure-lock`, `rollout`, `nodes --group`, `nodes --forget`, `pending --drop`, `begin`, `end`)",
  2: "held by another (`acquire`, `lock`)",
  3: "lease expired (`renew`)",
  4: "the action or its check failed",
  64: "usage: the command line is wrong",
  69: "coordinator unreachable, at the start or for the release (`run`)",
  70: "a bug in holdline",
  74: "standard output could not be written, or the claim was lost while the command ran (`exec`)",
  75: "not now, try later: timed out waiting, outside its window, frozen, blocked, `not_now`, or no room to start the command",
  77: "not allowed",
  78: "bad configuration",
} as const;

export type ExitCode = keyof typeof EXIT_CODES;

const OF_ERROR: { readonly [C in Exclude<ErrorCode, "interrupted">]: ExitCode } = {
  usage: 64,
  configuration: 78,
  unreachable: 69,
  "not-allowed": 77,
  "session-lost": 74,
  "claim-lost": 74,
  conflict: 75,
  "nothing-there": 1,
  "output-lost": 74,
  bug: 70,
};

const OF_OUTCOME: { readonly [O in Outcome]: ExitCode } = {
  ran: 0,
  "already-restarted": 0,
  "already-done": 0,
  "not-needed": 0,
  begun: 0,
  "would-run": 0,
  "would-wait": 0,
  rebooting: 0,
  failed: 4,
  "outside-window": 75,
  frozen: 75,
  blocked: 75,
  "timed-out": 75,
  "not-now": 75,
  unreachable: 69,
};

/** The exit code for an error. */
export function exitCodeOfError(error: unknown): number {
  if (error instanceof InterruptedError) return exitCodeOfSignal(error.signal);
  if (!(error instanceof HoldlineError)) return 70;
  return error.code === "interrupted" ? exitCodeOfSignal("SIGINT") : OF_ERROR[error.code];
}

/** The exit code for several results: the first that is not 0. */
export function exitCodeOfResults(results: readonly Result[]): number {
  return results.map(({ outcome }) => OF_OUTCOME[outcome]).find((code) => code !== 0) ?? 0;
}

const OF_EXEC: { readonly [O in Exclude<ExecEnd["outcome"], "ended">]: number } = {
  // As shells and env(1) report a program that cannot be started.
  "not-started": 127,
  "timed-out": OF_OUTCOME["timed-out"],
  frozen: OF_OUTCOME.frozen,
  "not-now": OF_OUTCOME["not-now"],
  unreachable: OF_OUTCOME.unreachable,
  "claim-lost": OF_ERROR["claim-lost"],
};

/** The exit code of `exec`: the command's own if it ran to its end. */
export function exitCodeOfExec(end: ExecEnd): number {
  if (end.outcome !== "ended") return OF_EXEC[end.outcome];
  return end.exitCode ?? (end.signal === null ? 0 : exitCodeOfSignal(end.signal));
}

/** The code that shells give a process killed by a signal: 128 plus the signal's number. */
export function exitCodeOfSignal(signal: string): number {
  return 128 + ((constants.signals as Readonly<Record<string, number | undefined>>)[signal] ?? 0);
}

/** Nothing there: no claim on the lock, nothing to clear. */
export const EXIT_NOTHING_THERE = OF_ERROR["nothing-there"];

const OF_ACQUIRED: { readonly [O in Acquired["outcome"]]: ExitCode } = { acquired: 0, held: 2, frozen: 75 };

/** The exit code for taking a lease. */
export function exitCodeOfAcquired({ outcome }: Pick<Acquired, "outcome">): ExitCode {
  return OF_ACQUIRED[outcome];
}

const OF_RENEWED: { readonly [O in Renewed["outcome"]]: ExitCode } = { renewed: 0, expired: 3 };

/** The exit code for renewing a lease. */
export function exitCodeOfRenewed({ outcome }: Pick<Renewed, "outcome">): ExitCode {
  return OF_RENEWED[outcome];
}

// Either way the lease is gone, as wanted.
const OF_RELEASED: { readonly [O in Released]: ExitCode } = { released: 0, gone: 0 };

/** The exit code for ending a lease. */
export function exitCodeOfReleased(released: Released): ExitCode {
  return OF_RELEASED[released];
}
