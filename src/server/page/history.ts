// The history for the page: what people type into its form, as a choice of records.
import { END_EVENTS, readRecords, recordAsJson } from "../../admin/records.js";
import { HoldlineError } from "../../locks/errors.js";
import { DURATION_FORM, parseDurationMs } from "../../locks/durations.js";
import { parseLockName } from "../../locks/names.js";
import { quoted } from "../../locks/text.js";
import { DEFAULT_LIMIT } from "../../page/history.js";
import type { HistoryQuery } from "../../page/history.js";
import type { ShownRecord } from "../../page/shape.js";
import type { Caller } from "../access.js";
import type { Service } from "../service.js";

// What a browser lays out in a moment. Whoever wants more asks /v1/history.
const LARGEST_LIMIT = 1_000;

/**
 * The records that are asked for and that the caller may see, newest first.
 * @throws HoldlineError `usage` that says what is wrong with the query
 */
export async function readHistory(
  { stores }: Service,
  { caller, patience }: { readonly caller: Caller; readonly patience: AbortSignal },
  { lock, since, by, event, limit }: HistoryQuery,
): Promise<readonly ShownRecord[]> {
  const filter = {
    lock: lock === "" ? null : parseLockName(lock),
    sinceMs: since === "" ? null : readDuration(since),
    by: by === "" ? null : by,
    event: event === "" ? null : readEvent(event),
    claim: null,
    sees: (name: string) => caller.mayWith("read", name),
    limit: readLimit(limit === "" ? DEFAULT_LIMIT : limit),
  };
  const records = await readRecords(stores, filter, patience);
  return records.map(({ record }) => recordAsJson(record));
}

function readDuration(text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== null) return ms;
  throw new HoldlineError("usage", `"within the last" must be ${DURATION_FORM}, and not ${quoted(text)}`);
}

function readEvent(text: string) {
  const event = END_EVENTS.find((known) => known === text);
  if (event !== undefined) return event;
  throw new HoldlineError("usage", `the event must be one of ${END_EVENTS.join(", ")}, and not ${quoted(text)}`);
}

function readLimit(text: string): number {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= LARGEST_LIMIT) return limit;
  throw new HoldlineError("usage", `"at most" must be a whole number from 1 to ${LARGEST_LIMIT}, and not ${quoted(text)}`);
}
