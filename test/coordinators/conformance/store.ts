// What tests share with the conformance suite: drafts, records and stores of their own. Re-exports only.
export * from "../../../src/conformance/drafts.js";
export type * from "../../../src/conformance/stage.js";
