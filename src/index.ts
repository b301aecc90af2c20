// The public library. Re-exports only.
export type { HeldClaim, Holdline, HoldlineOptions, LockOptions } from "./holdline.js";
export { FrozenError, openHoldline, TimedOutError } from "./holdline.js";
export type { HostLockType } from "./leases/hosts.js";
export type { HeldLease } from "./leases/request.js";
export type {
  AcquireOptions,
  AcquireOutcome,
  CallOptions,
  Frozen,
  Held,
  HistoryOptions,
  Leases,
  LockHostsOptions,
  LockHostsOutcome,
  LockStatus,
  ReleaseOptions,
  ReleaseOutcome,
  RenewOptions,
  RenewOutcome,
} from "./library/leases.js";
export type { Dependencies } from "./library/values.js";

export type { Claim, Condition, Failure, Lease, LeaseType, Owner, ProcessIdentity } from "./locks/claim.js";
export type { EndEvent, HistoryEvent, HistoryRecord } from "./locks/history.js";
export type { Freeze } from "./locks/freezes.js";
export type { Log } from "./locks/log.js";
export type { ErrorCode } from "./locks/errors.js";
export { hostLock } from "./locks/names.js";
export { ClaimLostError, HoldlineError, SessionLostError, UnreachableError } from "./locks/errors.js";
// For those who write a store: see docs/stores.md.
export * as model from "./queue/model/index.js";
export type * from "./queue/store.js";
export { ReplyLostError, SEAM } from "./queue/store.js";
export type { CoordinatorOptions, StoreTime, Traits } from "./locks/coordinator.js";
export type { Examined, Finding } from "./locks/store-report.js";
export type { ClaimView, HeldAs, LockView } from "./views/lock.js";
