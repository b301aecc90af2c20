// Ids of claims as callers give them: UUIDs, and the names of other programs' entries, which stand for their ids. A text that can be
// neither is refused: it would otherwise pass for a claim that has ended.
import { HoldlineError } from "./errors.js";
import { quoted } from "./text.js";

/** A UUID in either case, as a regular expression of JSON schemas and ours. */
export const UUID_PATTERN = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";
const UUID = new RegExp(UUID_PATTERN);

/** For hints. */
export const ID_EXAMPLE = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

/** Whether it is a UUID, such as all our claims have. */
export function isClaimId(text: string): boolean {
  return UUID.test(text);
}

/**
 * The id of one of our claims, in its stored form.
 * @param hint what would be right
 * @throws HoldlineError `usage`
 */
export function parseClaimId(text: string, hint: string): string {
  if (isClaimId(text)) return text.toLowerCase();
  throw notAnId(text, hint);
}

/**
 * The id of any claim, or `null` if the text cannot be one. The claims of other programs (Curator's, kazoo's) have only their
 * entry's name, which ends in a number of ten digits.
 */
export function claimIdIn(text: string): string | null {
  if (isClaimId(text)) return text.toLowerCase();
  return /\d{10}$/.test(text) && !/\p{Cc}/u.test(text) && text.isWellFormed() ? text : null;
}

/** The same, for a text that must be an id. @throws HoldlineError `usage` */
export function parseAnyClaimId(text: string, hint: string): string {
  const id = claimIdIn(text);
  if (id === null) throw notAnId(text, hint);
  return id;
}

function notAnId(text: string, hint: string): HoldlineError {
  // A script's unset variable becomes this. It must not pass for a claim that is gone.
  const problem = text.trim() === "" ? "the id is empty" : `${quoted(text)} is no id of a claim: an id is a UUID`;
  return new HoldlineError("usage", problem, { hint });
}
