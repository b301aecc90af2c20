// What there is to say of a store, for people.
import type { ErrorCode } from "./errors.js";

/** What is to be said of a store. */
export interface Finding {
  readonly severity: "error" | "warning";
  /** Of an error, as of those that are thrown. */
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
}

/** A store as it was found, for people. */
export interface StoreReport {
  /** What it is: name and value, in the order in which they are shown. */
  readonly facts: Readonly<Record<string, string | number>>;
  readonly findings: readonly Finding[];
}
