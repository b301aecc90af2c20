// The public library. Re-exports only.
export type { ClaimView, HeldClaim, Holdline, HoldlineOptions, LockOptions, LockView } from "./holdline.js";
export { openHoldline, TimedOutError } from "./holdline.js";
export type { Claim, Condition, Failure, Owner, ProcessIdentity } from "./locks/claim.js";
export type { Log } from "./locks/coordinator.js";
export type { ErrorCode } from "./locks/errors.js";
export { ClaimLostError, HoldlineError, SessionLostError, UnreachableError } from "./locks/errors.js";
