// The history of the locks that the caller may see: durable claims that have ended, and failures that keep their lock.
import type { FastifyInstance } from "fastify";
import { isObject } from "../../locks/claim.js";
import type { HistoryRecord } from "../../locks/history.js";
import { recordAsJson } from "../../views/json.js";
import type { RecordJson } from "../../views/json.js";
import { HISTORY_EVENTS, readRecords } from "../../views/records.js";
import type { RecordFilter } from "../../views/records.js";
import { readChoice, readClaimId, readDurationMs, readLabel, readWhole } from "../../config/field.js";
import { parseLockName } from "../../locks/names.js";
import type { Caller } from "../access.js";
import { requireRight } from "../access.js";
import { mayReadSome } from "../fleet.js";
import type { Service } from "../service.js";
import { answers, asked, list, NOT_MODIFIED, object, RECORD } from "./schemas.js";
import { readMember, requireSome, sendTagged } from "./values.js";

type Query = Readonly<Record<string, string>>;

const DEFAULT_LIMIT = 20;
// Each record may have 64 KiB of data.
const LARGEST_LIMIT = 1_000;

export function routeHistory(app: FastifyInstance, service: Service): void {
  app.get<{ Querystring: Query }>("/v1/history", {
    schema: {
      operationId: "history",
      summary: "Durable claims that have ended, and failures that keep their lock, and freezes; newest first",
      tags: ["history"],
      querystring: asked({
        lock: { type: "string", description: "only of this lock" },
        since: { type: "string", description: 'ended within this time: "1 day", or a number of seconds' },
        by: { type: "string", description: "who locked or who ended the claim: a principal, or a caller" },
        event: { type: "string", description: "how they ended, or what became of a freeze", enum: [...HISTORY_EVENTS] },
        id: { type: "string", description: "the claim's id" },
        limit: { type: "string", description: `how many at most; ${DEFAULT_LIMIT} by default` },
      }),
      response: answers({ 200: object("the records", { history: list(RECORD) }), ...NOT_MODIFIED }),
    },
    async handler(request, reply) {
      const seen = await readRecords(service.stores, readFilter(request.query, request.caller), request.patience);
      return sendTagged(
        request,
        reply,
        JSON.stringify({ history: seen.map(({ record }) => recordSeenBy(request.caller, record)) }),
      );
    },
  });
}

/** @throws HoldlineError `usage`, or `not-allowed` for a lock that the caller may not see */
export function readFilter(query: Query, caller: Caller): RecordFilter {
  requireSome(caller, "read");
  const lock = query["lock"] === undefined ? null : parseLockName(query["lock"]);
  if (lock !== null) requireRight(caller, "read", lock);
  return {
    lock,
    sinceMs: readMember(query, "since", (field) => readDurationMs(field, { most: Number.MAX_SAFE_INTEGER }), null),
    by: readMember(query, "by", readLabel, null),
    event: readMember(query, "event", (field) => readChoice(field, HISTORY_EVENTS), null),
    claim: readMember(query, "id", readClaimId, null),
    limit: readMember(query, "limit", (field) => readWhole(field, 1, LARGEST_LIMIT), DEFAULT_LIMIT),
    sees: ({ lock: name, event }) => {
      // A freeze stands in the history by a pattern of locks.
      if (event !== "frozen" && event !== "thawed") return caller.mayWith("read", name);
      return mayReadSome(caller, name);
    },
  };
}

/** A record as the caller may see it: that of a freeze without the patterns that match none of the caller's locks. */
export function recordSeenBy(caller: Caller, record: HistoryRecord): RecordJson {
  const shown = recordAsJson(record);
  const { event, data } = record;
  if ((event !== "frozen" && event !== "thawed") || !isObject(data) || !Array.isArray(data["locks"])) return shown;
  const locks = data["locks"].filter((pattern) => typeof pattern === "string" && mayReadSome(caller, pattern));
  return { ...shown, data: { ...data, locks } };
}
