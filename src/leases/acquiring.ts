// Taking a lease. Owns the one loop in which a lease is tried for again: the command line, the server's routes and a request
// with an id of its own say after each try whether they have their answer.
import type { Claim } from "../locks/claim.js";
import { HoldlineError } from "../locks/errors.js";
import { attemptLease } from "./attempt.js";
import type { AcquiredLease, Attempt, HeldByOthers } from "./attempt.js";
import type { Frozen } from "./frozen.js";
import type { LeaseContext, LeaseRequest } from "./request.js";

export type Acquired = AcquiredLease | HeldByOthers | Frozen;

/** What came of one try. */
export type Try<T> = { readonly answer: T } | { readonly retryAfterMs: number };

const RETRY_NOW = { retryAfterMs: 0 } as const;

// A request that does not wait stands in line for some round trips to the store. A second is long beside that, and short
// beside the time that a client waits for an answer.
const PASSING_PAUSE_MS = 50;
const MOST_PASSING_TRIES = 20;

/**
 * Tries until there is an answer.
 * @param tryOnce is told how much of the waiting time is left, in milliseconds, `null` without an end; and which try it is, from 1
 */
export async function untilAnswered<T>(
  { waitMs }: Pick<LeaseRequest, "waitMs">,
  { clock, signal }: Pick<LeaseContext, "clock" | "signal">,
  tryOnce: (leftMs: number | null, tries: number) => Promise<Try<T>>,
): Promise<T> {
  const startedAt = clock.now();
  for (let tries = 1; ; tries += 1) {
    const leftMs = waitMs === null ? null : Math.max(0, waitMs - (clock.now() - startedAt));
    const tried = await tryOnce(leftMs, tries);
    if ("answer" in tried) return tried.answer;
    if (tried.retryAfterMs > 0) await clock.sleep(tried.retryAfterMs, signal);
  }
}

/** Whether holders that stand in the way will be gone in a moment. */
export type IsPassing = (holders: readonly Claim[]) => boolean;

/**
 * What an attempt means to somebody who wants the lease.
 * @param tries which try it was, from 1
 * @param isPassing by default nobody is
 * @throws HoldlineError `conflict` when somebody took the claim out of the line
 */
export function judge(attempt: Attempt, tries: number, isPassing: IsPassing = () => false): Try<Acquired> {
  switch (attempt.outcome) {
    case "taken-out":
      throw new HoldlineError("conflict", attempt.message, { hint: "try again" });
    case "undecided":
      return RETRY_NOW;
    case "held":
      if (tries < MOST_PASSING_TRIES && isPassing(attempt.holders)) return { retryAfterMs: PASSING_PAUSE_MS };
      return { answer: attempt };
    case "acquired":
    case "frozen":
      return { answer: attempt };
  }
}

/**
 * Takes a lease, on one lock or on several at once.
 * @throws HoldlineError `usage` when so many locks with so much data do not fit into one transaction
 * @throws HoldlineError `conflict` when somebody took the claim out of the line while it waited
 * @throws UnreachableError when the store cannot be reached
 */
export async function acquireLease(request: LeaseRequest, context: LeaseContext, isPassing?: IsPassing): Promise<Acquired> {
  return untilAnswered(request, context, async (leftMs, tries) =>
    judge(await attemptLease({ ...request, waitMs: leftMs }, context), tries, isPassing),
  );
}
