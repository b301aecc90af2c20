// The page for people: documents that can be read as they are, and that the page's script keeps as things are. What is in
// them is src/page's; here it is read, and it is seen to that a browser takes it for nothing but what it is.
import type { FastifyInstance, FastifyRequest } from "fastify";
import { lockAsJson } from "../../admin/claims.js";
import { readRecords, recordAsJson } from "../../admin/records.js";
import { HoldlineError } from "../../locks/errors.js";
import { parseLockName } from "../../locks/names.js";
import { historyDocument, lockDocument, locksDocument } from "../../page/document.js";
import type { Looking, ServedLock } from "../../page/document.js";
import { parseFilter } from "../../page/filter.js";
import { DEFAULT_LIMIT, HISTORY_FIELDS } from "../../page/history.js";
import type { HistoryQuery } from "../../page/history.js";
import type { Viewer } from "../../page/shape.js";
import { requireRight } from "../access.js";
import { refusalOf } from "../errors.js";
import type { MirroredLock } from "../mirror.js";
import type { Service } from "../service.js";
import { readFilter } from "../v1/history.js";
import { routeAssets } from "./assets.js";
import { sendDocument, standingOf } from "./send.js";

type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

// No store that can be reached takes as long to answer; whoever looks at the page meanwhile is to see what is known.
const PATIENCE_MS = 5_000;
const HTML = { "text/html": { schema: { type: "string" } } };
const RESPONSES = { 200: { description: "a document", content: HTML }, "4xx": { description: "what is wrong", content: HTML } };
const text = (description: string) => ({ type: "string", description });

export function routePage(app: FastifyInstance, service: Service): void {
  routeAssets(app);
  const config = { errors: "page" } as const;

  app.get<{ Querystring: Query }>("/", {
    config,
    schema: {
      operationId: "pageLocks",
      summary: "The page: all locks, with who holds and who waits",
      tags: ["page"],
      querystring: {
        type: "object",
        properties: { find: text("a text in the claims"), show: text("all, stuck, line, running or leased") },
      },
      response: RESPONSES,
    },
    async handler(request, reply) {
      const { locks, warning } = await readLocks(service, request);
      const seen = locks.filter(({ lock }) => request.caller.mayWith("read", lock)).map(servedLock);
      if (warning !== null) void reply.code(503).header("Retry-After", "5");
      const looking = await lookingOf(service, request, warning === null);
      return sendDocument(reply, locksDocument(seen, parseFilter(queryOf(request.query)), looking, warning));
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
      const query = { ...ANY, lock };
      const [found, records, looking] = await Promise.all([
        service.mirror.readOne(lock, request.patience),
        readHistory(service, request, query),
        lookingOf(service, request, true),
      ]);
      return sendDocument(reply, lockDocument(lock, found && servedLock(found), records, looking));
    },
  });

  app.get<{ Querystring: Query }>("/history", {
    config,
    schema: {
      operationId: "pageHistory",
      summary: "The page of what has ended",
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
      const looking = await lookingOf(service, request, true);
      try {
        return await sendDocument(reply, historyDocument(query, await readHistory(service, request, query), looking, null));
      } catch (error) {
        // The form with what was typed is of more use than the words alone.
        if (!(error instanceof HoldlineError) || error.code !== "usage") throw error;
        return await sendDocument(reply.code(400), historyDocument(query, [], looking, error.message));
      }
    },
  });
}

const ANY: HistoryQuery = { lock: "", since: "", by: "", event: "", limit: DEFAULT_LIMIT };

/** All locks; as they were seen last, with a warning, where a store does not answer. */
async function readLocks({ mirror }: Service, { patience }: FastifyRequest) {
  try {
    return { locks: await mirror.read(AbortSignal.any([patience, AbortSignal.timeout(PATIENCE_MS)])), warning: null };
  } catch (error) {
    patience.throwIfAborted();
    const isSlow = error instanceof DOMException && error.name === "TimeoutError";
    if (!isSlow && refusalOf(error).status !== 503) throw error;
    const why = isSlow ? "it does not answer" : refusalOf(error).message;
    return {
      locks: mirror.latest(),
      warning: `The store cannot be reached (${why}): this is what was there when it was read last.`,
    };
  }
}

/** The records that are asked for, newest first. @throws HoldlineError `usage` that says what is wrong with the query */
async function readHistory({ stores }: Service, { caller, patience }: FastifyRequest, query: HistoryQuery) {
  // An empty field of a form asks for nothing.
  const asked = Object.entries({ ...query, limit: query.limit || DEFAULT_LIMIT }).filter(([, value]) => value !== "");
  const records = await readRecords(stores, readFilter(Object.fromEntries(asked), caller), patience);
  return records.map(({ record }) => recordAsJson(record));
}

function servedLock(lock: MirroredLock): ServedLock {
  return { shown: lockAsJson(lock), text: lock.text };
}

async function lookingOf({ stores }: Service, request: FastifyRequest, isReachable: boolean): Promise<Looking> {
  const { caller, patience } = request;
  const [general] = await stores.coordinators();
  const now = isReachable && general !== undefined ? await general.now(patience) : Date.now();
  const viewer: Viewer = { name: caller.name, may: caller.rights.may, locks: caller.rights.locks };
  return { viewer, now, ...standingOf(request) };
}

function queryOf(query: Query): URLSearchParams {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) given.set(name, typeof value === "string" ? value : (value?.at(-1) ?? ""));
  return given;
}
