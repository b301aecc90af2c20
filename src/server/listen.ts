// The server from its first connection to its last: opens what it serves, and ends within a deadline.
import type { AddressInfo } from "node:net";
import type { Stores } from "../views/stores.js";
import type { LeaseContext } from "../leases/request.js";
import type { Log } from "../locks/coordinator.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { Access } from "./access.js";
import { buildApp } from "./app.js";
import { openMeasures } from "./measures.js";
import { Mirror } from "./mirror.js";
import type { ServeOptions } from "./options.js";
import { isLoopback } from "./options.js";
import { hashSecret } from "./passwords.js";
import { createPending } from "./pending.js";
import { Pulse } from "./pulse.js";
import { openSockets } from "./sockets.js";

/** What the server works with; the runtime has opened it, and closes it. */
export interface ServerParts {
  readonly stores: Stores;
  readonly leases: (lock: string) => Promise<LeaseContext>;
  readonly log: Log;
}

export interface RunningServer {
  /** Where it can be reached: `http://127.0.0.1:3000`. */
  readonly url: string;
  /** Answers what can be answered at once, and ends all else. Resolves within a few seconds. */
  close(): Promise<void>;
}

// Longer than any answer takes that needs no waiting; shorter than service managers wait.
const SHUTDOWN_MS = 5_000;

/**
 * @throws HoldlineError `configuration` when it cannot listen as it is told to
 * @throws UnreachableError when a store cannot be reached
 */
export async function openServer(options: ServeOptions, parts: ServerParts): Promise<RunningServer> {
  const { own } = options;
  const { log } = parts;
  const sockets = openSockets(options);
  const { settings } = parts.stores;
  const access = new Access(settings, own && { user: own.user, hash: await hashSecret(own.password) }, log);
  const shutdown = new AbortController();
  const { signal } = shutdown;
  const measures = openMeasures(parts);
  const { stores, leases } = measures;
  const mirror = await Mirror.open(stores, log, signal);
  measures.follow(mirror);
  try {
    const pulse = new Pulse(mirror, log, signal);
    const app = await buildApp({ stores, mirror, pulse, leases, log, pending: createPending(), signal }, options, {
      access,
      measures,
      sockets,
    });
    await app.ready();
    await listen(app, options);
    const isPlain = options.cert === null && !isOnThisMachine(app.server.address());
    if (isPlain && !options.isOpen) log.warn({}, "credentials come in the clear: set serve.cert and serve.key for HTTPS");
    return {
      url: urlOf(app.server.address(), options),
      async close() {
        shutdown.abort(new HoldlineError("interrupted", "the server shuts down"));
        const hardEnd = setTimeout(() => sockets.cut(), SHUTDOWN_MS);
        await app.close();
        clearTimeout(hardEnd);
        mirror.close();
      },
    };
  } catch (error) {
    mirror.close();
    throw error;
  }
}

async function listen(app: Awaited<ReturnType<typeof buildApp>>, { fd, listen: host, port }: ServeOptions): Promise<void> {
  try {
    // Without a host Fastify would look for more addresses to listen on, with the same descriptor.
    await app.listen(fd === null ? { host, port } : ({ fd, host: "" } as unknown as { port: number }));
  } catch (error) {
    const where = fd === null ? `${host}:${port}` : `descriptor ${fd}`;
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    throw new HoldlineError("configuration", `cannot listen on ${where}: ${WHY[code] ?? messageOf(error)}`, {
      hint: fd === null ? "--listen ADDRESS:PORT says where else" : "LISTEN_PID and LISTEN_FDS are for service managers to set",
      cause: error,
    });
  }
}

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: "something else listens there",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "this user may not",
  ENOTFOUND: "there is no such name",
};

/** What a socket of the file system has instead of an address is its path. */
type Bound = AddressInfo | string | null;

function isOnThisMachine(bound: Bound): boolean {
  return bound === null || typeof bound === "string" || isLoopback(bound.address);
}

function urlOf(bound: Bound, { cert, listen: host, port }: ServeOptions): string {
  if (typeof bound === "string") return `unix:${bound}`;
  const name = bound?.address ?? host;
  return `${cert === null ? "http" : "https"}://${name.includes(":") ? `[${name}]` : name}:${bound?.port ?? port}`;
}
