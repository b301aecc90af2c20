// How the log's entries and snapshots are written: JSON, deflated, because DynamoDB counts every kilobyte.
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { Step } from "../../queue/store.js";

/**
 * What stands in one item of the log: the steps of a commit, or what the store itself has to say in order with them. `open`, `raise` and
 * `expire`: a session begins, has a higher epoch, or has ended by itself. `trim`: records of the archive are forgotten.
 */
export type LogEntry =
  | readonly Step[]
  | { readonly do: "open"; readonly session: string; readonly timeoutMs: number }
  | { readonly do: "raise"; readonly session: string; readonly epoch: number }
  | { readonly do: "expire"; readonly session: string }
  | { readonly do: "trim"; readonly lock: string | null; readonly keep: number; readonly oldest: number };

/** DynamoDB takes items of 400 KB with all that is in them. What is written here is deflated; what cannot be must fit as well. */
export const MOST_BYTES = 320 * 1024;

/** A blob of JSON. Numbers may be infinite where {@link INFINITE} says so. */
export function encode(value: unknown): Buffer {
  const text = JSON.stringify(value, (_, one: unknown) => (one === Infinity || one === -Infinity ? String(one) : one));
  return deflateRawSync(text);
}

/** @returns what was encoded; what it is, its reader knows */
export function decode(blob: Buffer): unknown {
  const text = inflateRawSync(blob).toString("utf8");
  return JSON.parse(text, (name, one: unknown) => (INFINITE.has(name) && typeof one === "string" ? Number(one) : one));
}

// These are numbers wherever they stand; all text of users is in other fields.
const INFINITE: ReadonlySet<string> = new Set(["slots", "keep", "oldest", "room"]);
