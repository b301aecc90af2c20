// `holdline/conformance`: holds somebody else's store to what Holdline's own ones promise. Re-exports only. A store is a
// `Coordinator` itself, or a `QueueStore` under the queue engine; the in-memory one shows how little that takes.
export { contendHere, type Contender } from "./contenders.js";
export type { ContenderEvent, ContenderTask } from "./contending.js";
export { type PackagedContender, startContender } from "./packaged-contender.js";
export { TEST_OPTIONS, TEST_TIMERS } from "./drafts.js";
export type { Faults, HeldBack, Member, Operation, RunningServer, StoreUnderTest, TestStore } from "./stage.js";
export { describeCoordinator } from "./suite.js";
export type * from "../locks/claim.js";
export type * from "../locks/coordinator.js";
export type * from "../locks/documents.js";
export type * from "../locks/history.js";
export type * from "../locks/log.js";
export type * from "../locks/session.js";
export type * from "../locks/store-report.js";
export { ClaimLostError, HoldlineError, SessionLostError, UnreachableError } from "../locks/errors.js";
export { type EngineOptions, openEngine } from "../queue/engine.js";
export type * from "../queue/store.js";
export { ReplyLostError } from "../queue/store.js";
export { createMemoryStore } from "../stores/memory/index.js";
export { MemoryServer, type MemoryServerOptions } from "../stores/memory/server.js";
