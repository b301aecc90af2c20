// The routes of the page for people. They read what a document shows; src/page makes the document, which can be read without
// scripts and which the page's script keeps up to date.
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { freezeAsJson, lockAsJson } from "../../views/json.js";
import { readRecords } from "../../views/records.js";
import { HoldlineError } from "../../locks/errors.js";
import { parseLockName } from "../../locks/names.js";
import { fleetDocument, historyDocument, lockDocument, locksDocument } from "../../page/document.js";
import type { Looking, ServedLock } from "../../page/document.js";
import { parseFilter } from "../../page/filter.js";
import { parseFleetQuery } from "../../page/fleet.js";
import { DEFAULT_LIMIT, HISTORY_FIELDS } from "../../page/history.js";
import type { HistoryQuery } from "../../page/history.js";
import { requireRight } from "../access.js";
import { freezesSeenBy } from "../fleet.js";
import type { MirroredLock } from "../store-copy.js";
import { isSilence, soon } from "../pulse.js";
import type { Service } from "../service.js";
import { readFilter, recordSeenBy } from "../v1/history.js";
import { requireSome } from "../v1/values.js";
import { routeAssets } from "./assets.js";
import { fleetShownTo } from "./fleet.js";
import { sendDocument, visitOf } from "./send.js";

type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

const HTML = { "text/html": { schema: { type: "string" } } };
const RESPONSES = {
  200: { description: "a document", content: HTML },
  "4xx": { description: "what is wrong", content: HTML },
  503: { description: "the document as of when the stores last answered: one does not answer now", content: HTML },
};
const text = (description: string) => ({ type: "string", description });

export function routePage(app: FastifyInstance, service: Service): void {
  routeAssets(app);
  const config = { errors: "page" } as const;

  app.get<{ Querystring: Query }>("/", {
    config,
    schema: {
      operationId: "pageLocks",
      summary: "The page: all locks, with their holders and waiters",
      tags: ["page"],
      querystring: {
        type: "object",
        properties: { find: text("a text in the claims"), show: text("all, stuck, line, running or leased") },
      },
      response: RESPONSES,
    },
    async handler(request, reply) {
      const { locks, silentSince } = await service.pulse.look(request.patience);
      const seen = locks.filter(({ lock }) => request.caller.mayWith("read", lock)).map(servedLock);
      const looking = lookingOf(service, request, silentSince);
      return sendDocument(unlessSilent(reply, silentSince), locksDocument(seen, parseFilter(queryOf(request.query)), looking));
    },
  });

  app.get<{ Params: { "*": string } }>("/view/*", {
    config,
    schema: {
      operationId: "pageLock",
      summary: "The page of one lock, with all its claims and its history",
      tags: ["page"],
      params: { type: "object", properties: { "*": text("the lock's name") } },
      response: RESPONSES,
    },
    async handler(request, reply) {
      const lock = parseLockName(request.params["*"]);
      requireRight(request.caller, "read", lock);
      const { locks, silentSince } = await service.pulse.look(request.patience);
      const found = locks.find((one) => one.lock === lock) ?? null;
      const records = silentSince === null ? await readHistory(service, request, { ...ANY, lock }) : null;
      const looking = lookingOf(service, request, silentSince);
      return sendDocument(unlessSilent(reply, silentSince), lockDocument(lock, found && servedLock(found), records, looking));
    },
  });

  app.get<{ Querystring: Query }>("/fleet", {
    config,
    schema: {
      operationId: "pageFleet",
      summary: "The page of the fleet: groups, rollouts and nodes",
      tags: ["page"],
      querystring: {
        type: "object",
        properties: {
          ...{ group: text("only of this group"), action: text("the action whose rollout is shown in full") },
          ...{ find: text("a text in the nodes"), state: text("failed, running, waiting, pending, done or idle") },
        },
      },
      response: RESPONSES,
    },
    async handler(request, reply) {
      requireSome(request.caller, "read");
      const { silentSince } = await service.pulse.look(request.patience);
      const query = parseFleetQuery(queryOf(request.query));
      const looking = lookingOf(service, request, silentSince);
      const shown = fleetShownTo(request.caller, service.mirror, query);
      return sendDocument(unlessSilent(reply, silentSince), fleetDocument(shown, query, looking));
    },
  });

  app.get<{ Querystring: Query }>("/history", {
    config,
    schema: {
      operationId: "pageHistory",
      summary: "The page of the history",
      tags: ["page"],
      querystring: {
        type: "object",
        properties: Object.fromEntries(HISTORY_FIELDS.map((name) => [name, text("as in /v1/history")])),
      },
      response: RESPONSES,
    },
    async handler(request, reply) {
      const given = queryOf(request.query);
      const query = Object.fromEntries(
        HISTORY_FIELDS.map((name) => [name, given.get(name)?.trim() ?? ""]),
      ) as unknown as HistoryQuery;
      const { silentSince } = await service.pulse.look(request.patience);
      const looking = lookingOf(service, request, silentSince);
      try {
        const records = silentSince === null ? await readHistory(service, request, query) : null;
        return await sendDocument(unlessSilent(reply, silentSince), historyDocument(query, records, looking, null));
      } catch (error) {
        // People get the form back with what they typed, and the words beside it.
        if (!(error instanceof HoldlineError) || error.code !== "usage") throw error;
        return await sendDocument(reply.code(400), historyDocument(query, [], looking, error.message));
      }
    },
  });
}

const ANY: HistoryQuery = { lock: "", since: "", by: "", event: "", limit: DEFAULT_LIMIT };

/** The records that the query asks for, newest first; `null` when a store does not answer. */
async function readHistory({ stores }: Service, { caller, patience }: FastifyRequest, query: HistoryQuery) {
  // An empty field of a form asks for nothing.
  const asked = Object.entries({ ...query, limit: query.limit || DEFAULT_LIMIT }).filter(([, value]) => value !== "");
  try {
    const records = await readRecords(stores, readFilter(Object.fromEntries(asked), caller), soon(patience));
    return records.map(({ record }) => recordSeenBy(caller, record));
  } catch (error) {
    patience.throwIfAborted();
    if (isSilence(error)) return null;
    throw error;
  }
}

function servedLock(lock: MirroredLock): ServedLock {
  return { shown: lockAsJson(lock), text: lock.text };
}

/** A document that is not up to date has the status of an outage. */
function unlessSilent(reply: FastifyReply, silentSince: number | null): FastifyReply {
  return silentSince === null ? reply : reply.code(503).header("Retry-After", "5");
}

function lookingOf({ mirror }: Service, request: FastifyRequest, silentSince: number | null): Looking {
  const { caller } = request;
  const { freezes, isUnreadable } = freezesSeenBy(caller, mirror.freezes());
  const shown = { freezes: freezes.map(freezeAsJson), ...(isUnreadable ? { freezesUnreadable: true } : {}) };
  return { viewer: { name: caller.name, ...caller.rights }, now: mirror.now(), silentSince, freezes: shown, ...visitOf(request) };
}

function queryOf(query: Query): URLSearchParams {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) given.set(name, typeof value === "string" ? value : (value?.at(-1) ?? ""));
  return given;
}
