// Every error that Holdline raises on purpose. What is expected (held by another, timed out) is a value and not here.

/** What went wrong, in one word that other programs may compare; `cli/exit-codes.ts` gives each its exit code. */
export type ErrorCode =
  | "usage"
  | "configuration"
  | "unreachable"
  | "not-allowed"
  | "session-lost"
  | "claim-lost"
  | "conflict"
  | "nothing-there"
  | "output-lost"
  | "interrupted"
  | "bug";

/** The base of all errors that Holdline raises itself: a code to branch on, words for a person, and a hint of what would be right. */
export class HoldlineError extends Error {
  override readonly name: string = "HoldlineError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { readonly hint?: string; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint ?? null;
  }

  /** What would be right, or what to do next; `null` where the message says it all. */
  readonly hint: string | null;
}

/** The coordinator could not be reached, or did not answer in time. What was asked for may or may not have happened only where a method says so. */
export class UnreachableError extends HoldlineError {
  override readonly name = "UnreachableError";
  constructor(message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super("unreachable", message, options);
  }
}

/** The coordinator was closed by its own process: no waiting brings it back. */
export class ClosedError extends UnreachableError {}

/** The session under which an ephemeral claim was made has ended, or may have: the claim is to be regarded as gone. */
export class SessionLostError extends HoldlineError {
  override readonly name = "SessionLostError";
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super("session-lost", message, options);
  }
}

/** A claim is no longer there, or no longer as it was read: an admin cleared it, or another process adopted it. */
export class ClaimLostError extends HoldlineError {
  override readonly name = "ClaimLostError";
  constructor(message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super("claim-lost", message, options);
  }
}

/** The words of any thrown thing, for messages that quote a cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Runs what may fail without harm, and says so in the log: the one place where an error may be swallowed.
 * @param reason what was attempted and why its failure does no harm, for the log
 */
export async function bestEffort(
  log: { debug(details: object, message: string): void },
  reason: string,
  attempt: () => unknown,
): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    log.debug({ error: messageOf(error) }, reason);
  }
}
