// Every error that Holdline raises on purpose. Expected outcomes (held by another, timed out) are values and not here.

/** The kind of error, in one word that other programs may compare. `cli/exit-codes.ts` gives each its exit code. */
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

/** The base of all errors that Holdline raises itself: a code to branch on, words for a person, and a hint at the right way. */
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

/** The coordinator could not be reached, or did not answer in time. The request has had no effect, unless its method says that it may have. */
export class UnreachableError extends HoldlineError {
  override readonly name = "UnreachableError";
  constructor(message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super("unreachable", message, options);
  }
}

/** The coordinator was closed by its own process: no waiting brings it back. */
export class ClosedError extends UnreachableError {}

/** The session of an ephemeral claim has ended, or may have: the claim counts as gone. */
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

/** A document that something depends on is no longer as it was read: nothing was done. */
export class DocumentChangedError extends HoldlineError {
  override readonly name = "DocumentChangedError";
  constructor(document: string) {
    super("conflict", `the document ${document} has changed since it was read`);
  }
}

/** The words of any thrown thing, for messages that quote a cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Runs something that may fail without harm, and logs its failure: the one place that may swallow an error.
 * @param reason what was tried and why its failure does no harm, for the log
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
