// Starts the server, and ends it within a deadline.
import type { AddressInfo } from "node:net";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { Access } from "./access.js";
import { buildApp } from "./app.js";
import { openMeasures } from "./measures.js";
import { Mirror } from "./mirror.js";
import type { ServeOptions } from "./options.js";
import { isLoopback } from "./options.js";
import { hashSecret } from "./passwords.js";
import { createConnectionLimits } from "./connection-limits.js";
import { Pulse } from "./pulse.js";
import type { ServerParts } from "./service.js";
import { tellOfChanges } from "./notices.js";
import { openSockets } from "./sockets.js";

export interface RunningServer {
  /** Where it can be reached: `http://127.0.0.1:3000`. */
  readonly url: string;
  /** Answers the requests that can be answered at once, and ends the others. Resolves within a few seconds. */
  close(): Promise<void>;
}

// Longer than an answer that needs no waiting, and shorter than service managers wait.
const SHUTDOWN_MS = 5_000;

/**
 * @throws HoldlineError `configuration` when it cannot listen where it is told to
 * @throws UnreachableError when a store cannot be reached
 */
export async function openServer(options: ServeOptions, parts: ServerParts): Promise<RunningServer> {
  const { own } = options;
  const { log, notifier } = parts;
  const sockets = openSockets(options);
  const { settings } = parts.stores;
  const access = new Access(settings, own && { user: own.user, hash: await hashSecret(own.password) }, log);
  const shutdown = new AbortController();
  const { signal } = shutdown;
  const measures = openMeasures();
  // Nobody knows which node or group a client is of, unless it says so.
  const leasesOf = async (lock: string) => ({ ...(await parts.leases(lock)), subject: { node: "", group: "" } });
  const { stores, leases } = measures.timed({ ...parts, leases: leasesOf });
  const mirror = await Mirror.open(stores, log, signal);
  measures.follow(mirror);
  tellOfChanges(mirror, notifier);
  try {
    const pulse = new Pulse(mirror, log, signal);
    const limits = createConnectionLimits();
    const app = await buildApp(
      { stores, leases, log, notifier, access, measures, mirror, pulse, limits, signal },
      options,
      sockets,
    );
    await app.ready();
    await listen(app, options);
    const isPlain = options.cert === null && !isOnThisMachine(app.server.address());
    if (isPlain && !options.isOpen) log.warn({}, "credentials travel in the clear: set serve.cert and serve.key for HTTPS");
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
    // Without a host, Fastify would look for further addresses and listen there with the same descriptor.
    await app.listen(fd === null ? { host, port } : ({ fd, host: "" } as unknown as { port: number }));
  } catch (error) {
    const where = fd === null ? `${host}:${port}` : `descriptor ${fd}`;
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    throw new HoldlineError("configuration", `cannot listen on ${where}: ${WHY[code] ?? messageOf(error)}`, {
      hint:
        fd === null
          ? "choose another address with --listen ADDRESS:PORT"
          : "only a service manager should set LISTEN_PID and LISTEN_FDS",
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

/** The address of a socket; of a Unix socket, its path. */
type Bound = AddressInfo | string | null;

function isOnThisMachine(bound: Bound): boolean {
  return bound === null || typeof bound === "string" || isLoopback(bound.address);
}

function urlOf(bound: Bound, { cert, listen: host, port }: ServeOptions): string {
  if (typeof bound === "string") return `unix:${bound}`;
  const name = bound?.address ?? host;
  return `${cert === null ? "http" : "https"}://${name.includes(":") ? `[${name}]` : name}:${bound?.port ?? port}`;
}
