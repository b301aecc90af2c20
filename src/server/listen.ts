// The server from its first connection to its last: opens what it serves, and ends within a deadline.
import type { AddressInfo } from "node:net";
import type { Stores } from "../admin/stores.js";
import type { LeaseContext } from "../leases/lease.js";
import type { Log } from "../locks/coordinator.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { Access } from "./access.js";
import { buildApp } from "./app.js";
import { Mirror } from "./mirror.js";
import type { ServeOptions } from "./options.js";
import { hashSecret } from "./passwords.js";

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
export async function openServer(options: ServeOptions, { stores, leases, log }: ServerParts): Promise<RunningServer> {
  const { own } = options;
  const access = new Access(stores.settings, own && { user: own.user, hash: await hashSecret(own.password) });
  const shutdown = new AbortController();
  const { signal } = shutdown;
  const mirror = await Mirror.open(stores, stores.settings.principal, log, signal);
  try {
    const app = await buildApp({ stores, mirror, leases, log, signal }, options, access);
    await app.ready();
    await listen(app, options);
    return {
      url: urlOf(app.server.address() as AddressInfo | null, options),
      async close() {
        shutdown.abort(new HoldlineError("interrupted", "the server shuts down"));
        const hardEnd = setTimeout(() => app.server.closeAllConnections(), SHUTDOWN_MS);
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
    await app.listen(fd === null ? { host, port } : ({ fd } as unknown as { port: number }));
  } catch (error) {
    const where = fd === null ? `${host}:${port}` : `descriptor ${fd}`;
    throw new HoldlineError("configuration", `cannot listen on ${where}: ${messageOf(error)}`, {
      hint: "--listen ADDRESS:PORT says where else",
      cause: error,
    });
  }
}

function urlOf(bound: AddressInfo | null, { cert, listen: host, port }: ServeOptions): string {
  const name = bound?.address ?? host;
  return `${cert === null ? "http" : "https"}://${name.includes(":") ? `[${name}]` : name}:${bound?.port ?? port}`;
}
