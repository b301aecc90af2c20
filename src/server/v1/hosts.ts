// Locks on hosts and on their files, along with the hosts that they depend on; and whether a host is locked.
import type { FastifyInstance } from "fastify";
import { statusAsJson } from "../../views/json.js";
import { refuseSeveralStores } from "../../views/stores.js";
import { readDescription, readLabel } from "../../config/field.js";
import { settingsOfLock } from "../../config/locks.js";
import { HOST_LOCK_TYPES, hostLocksOf, knownAs, knownHosts, parseFilePath, parseHost } from "../../leases/hosts.js";
import type { HostLockType } from "../../leases/hosts.js";
import { HoldlineError } from "../../locks/errors.js";
import { hostLock } from "../../locks/names.js";
import { quoted } from "../../locks/text.js";
import { requireRight, requireRightBehind } from "../access.js";
import type { Service } from "../service.js";
import { answerAcquire, readDespiteFreeze } from "./acquiring.js";
import {
  answers,
  asked,
  CALLER,
  DATA,
  DESPITE_FREEZE,
  HOST_LEASE,
  HOST_STATE,
  ID,
  NOT_MODIFIED,
  params,
  TTL,
  WAIT,
} from "./schemas.js";
import { parseData, readMember, readTtl, readWait, sendTagged } from "./values.js";

interface Body extends Readonly<Record<string, unknown>> {
  readonly host?: string;
  readonly file?: string;
  readonly type?: HostLockType;
  readonly dependencies?: boolean;
  readonly id?: string;
}

export function routeHosts(app: FastifyInstance, service: Service): void {
  const { settings } = service.stores;
  const nameOf = (host: string): string => knownAs(host, knownHosts(settings.node, settings.dependencies));

  app.post<{ Body: Body }>("/v1/host-locks", {
    schema: {
      operationId: "lockHost",
      summary: "Locks a host, or a file on it, along with the hosts that it depends on: all or none",
      tags: ["hosts"],
      body: asked({
        host: { type: "string", description: "the host; it need not be reachable" },
        file: { type: "string", description: "a path; without host it names the host: server:/path, \\\\server\\share\\path" },
        type: {
          type: "string",
          enum: [...HOST_LOCK_TYPES],
          description:
            "host: nobody else may; generic and file may overlap with each other. By default generic, or file with a file",
        },
        caller: CALLER,
        description: { type: "string", nullable: true, description: "why, for those who wait and for the history" },
        dependencies: { type: "boolean", description: "false: only this host; true is the default" },
        ttl: TTL,
        wait: WAIT,
        data: DATA,
        id: ID,
        despiteFreeze: DESPITE_FREEZE,
      }),
      response: answers(
        { 201: { ...HOST_LEASE, description: "it is taken" }, 200: { ...HOST_LEASE, description: "it was there" } },
        409,
        423,
      ),
    },
    handler(request, reply) {
      const { body, caller } = request;
      const dependencies = body.dependencies === false ? null : settings.dependencies;
      const target = readTarget(body);
      const { hosts, ...locked } = hostLocksOf({ ...target, host: nameOf(target.host), dependencies });
      // The first lock is that of the named host. The caller may not even know the others.
      const [named = "", ...others] = locked.locks;
      requireRight(caller, "lock", named);
      for (const lock of others) requireRightBehind(caller, "lock", lock);
      refuseSeveralStores(settings, locked.locks);
      const { ttlMs } = settingsOfLock(settings, locked.locks[0] as string);
      const wanted = {
        ...(body.id === undefined ? {} : { id: body.id.toLowerCase() }),
        ...locked,
        principal: caller.name,
        caller: readMember(body, "caller", readLabel, null),
        reason: readMember(body, "description", readDescription, null),
        data: parseData(body["data"], "data"),
        ttlMs: readTtl(body, ttlMs),
        waitMs: readWait(body),
        alone: false,
        despiteFreeze: readDespiteFreeze(body, caller, locked.locks, "description"),
      };
      return answerAcquire(service, request, reply, wanted, { hosts });
    },
  });

  app.get<{ Params: { readonly host: string } }>("/v1/hosts/:host", {
    schema: {
      operationId: "host",
      summary: "Whether a host is locked, how, and by whom",
      tags: ["hosts"],
      params: params("host", "the host"),
      response: answers({ 200: HOST_STATE, ...NOT_MODIFIED }),
    },
    async handler(request, reply) {
      const host = nameOf(parseHost(request.params.host));
      const lock = hostLock(host);
      requireRight(request.caller, "read", lock);
      const found = await service.mirror.readOne(lock, request.patience);
      return sendTagged(request, reply, JSON.stringify({ host, ...statusAsJson(found ?? { lock, holders: [], waiting: [] }) }));
    },
  });
}

/** @throws HoldlineError `usage` */
function readTarget({ host, file, type = file === undefined ? "generic" : "file" }: Body) {
  if (file === undefined) {
    if (host === undefined) throw new HoldlineError("usage", "no host given", { hint: "right would be a host, or a file" });
    if (type === "file") throw new HoldlineError("usage", "a lock of the type file needs a file");
    return { host: parseHost(host), path: null, type };
  }
  if (type !== "file") throw new HoldlineError("usage", `a lock on a file has the type file, not ${type}`);
  // A path without a server is on the client's machine, and this is another: it needs a host.
  const named = host === undefined ? null : parseHost(host);
  const found = parseFilePath(file, named ?? NOWHERE);
  if (found.host === NOWHERE)
    throw new HoldlineError("usage", `the file ${quoted(file)} is on no host that could be told from its path`, {
      hint: "name the host as well, or give a path such as server:/path",
    });
  if (named !== null && found.host !== named)
    throw new HoldlineError("usage", `the file ${quoted(file)} is on ${found.host}, and the host is ${named}`);
  return { ...found, type };
}

// No host has this name (RFC 6761).
const NOWHERE = "nowhere.invalid";
