// What DynamoDB's refusals mean: which of them are worth another try, and the others in words for people.
import { type ErrorCode, HoldlineError } from "../../locks/errors.js";

/** An answer that is no success. */
export class DynamoError extends HoldlineError {
  override readonly name = "DynamoError";

  constructor(
    /** The service's name of it, such as `ValidationException`. */
    readonly type: string,
    code: ErrorCode,
    message: string,
    options: { readonly hint?: string } = {},
  ) {
    super(code, message, options);
  }
}

/** What the service says of a request. */
export interface Refusal {
  readonly status: number;
  readonly type: string;
  readonly message: string;
}

/** The service has too much to do, or stumbled: the same request may succeed soon. Each is one that may be sent twice. */
export function isPassing({ status, type }: Refusal): boolean {
  return status >= 500 || THROTTLED.has(type);
}

const THROTTLED: ReadonlySet<string> = new Set([
  "ProvisionedThroughputExceededException",
  "ThrottlingException",
  "Throttling",
  "RequestLimitExceeded",
  "LimitExceededException",
  "TransactionInProgressException",
]);

/** New credentials may be there. */
export function isExpired({ type }: Refusal): boolean {
  return type === "ExpiredTokenException" || type === "ExpiredToken";
}

/** This machine's clock is too far off for a signature. */
export function isUntimely({ type, message }: Refusal): boolean {
  return type === "RequestTimeTooSkewed" || type === "RequestExpired" || /^Signature (?:expired|not yet current)/.test(message);
}

/** @param action what was asked for, such as `PutItem` */
export function errorOf({ status, type, message }: Refusal, action: string, table: string): DynamoError {
  if (type === "ConditionalCheckFailedException") return new DynamoError(type, "bug", "the condition of a write does not hold");
  if (type === "ResourceNotFoundException") return new DynamoError(type, "configuration", `there is no DynamoDB table ${table}`);
  if (type === "AccessDeniedException") {
    const hint = `allow it dynamodb:${action} on the table: docs/stores.md has the whole policy`;
    return new DynamoError(type, "not-allowed", `DynamoDB does not allow this user ${action} on the table ${table}`, { hint });
  }
  if (CREDENTIALS.has(type)) {
    const hint = "look at AWS_PROFILE, the AWS_… variables and ~/.aws; `holdline check --live` says where they come from";
    return new DynamoError(type, "not-allowed", `DynamoDB does not take the credentials (${type})`, { hint });
  }
  if (type === "ValidationException" && /key element does not match|missing the key|size of keys/i.test(message)) {
    const hint = "name a table of its own in the URL: Holdline makes it where it may";
    return new DynamoError(
      type,
      "configuration",
      `the DynamoDB table ${table} has other keys than Holdline's: it is not one of its`,
      {
        hint,
      },
    );
  }
  return new DynamoError(type, "bug", `DynamoDB refuses ${action} (${status} ${type}): ${message}`);
}

const CREDENTIALS: ReadonlySet<string> = new Set([
  "UnrecognizedClientException",
  "InvalidSignatureException",
  "IncompleteSignatureException",
  "IncompleteSignature",
  "MissingAuthenticationTokenException",
  "MissingAuthenticationToken",
  "InvalidClientTokenId",
  "ExpiredTokenException",
  "ExpiredToken",
  "RequestTimeTooSkewed",
  "RequestExpired",
]);
