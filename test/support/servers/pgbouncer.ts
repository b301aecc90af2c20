// A pgbouncer of a test's own before a PostgreSQL server, in transaction mode: each transaction may have another connection to the server.
import { existsSync } from "node:fs";
import { chown, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../ports.js";
import { ServerProcess, startServers } from "../server-process.js";
import { postgresAccount } from "./postgresql.js";
import { connectPostgres, type PostgresPlace } from "./postgresql-client.js";

const PROGRAM = "/usr/sbin/pgbouncer";

/** Why there is no pgbouncer here; `null` where there is one. */
export const PGBOUNCER_PROBLEM = existsSync(PROGRAM) ? null : "pgbouncer is not installed";

export interface Pgbouncer extends PostgresPlace {
  close(): Promise<void>;
}

/** @param poolSize how many connections to the server all clients share */
export async function startPgbouncer(server: PostgresPlace, poolSize: number): Promise<Pgbouncer> {
  const account = await postgresAccount();
  if (account === null) throw new Error("pgbouncer cannot be started here");
  const directory = await mkdtemp(join(tmpdir(), "holdline-pgbouncer-"));
  if (account.uid !== undefined && account.gid !== undefined) await chown(directory, account.uid, account.gid);
  const [port] = (await freePorts(1)) as [number];
  const place = { host: "127.0.0.1", port };
  const config = join(directory, "pgbouncer.ini");
  const process = new ServerProcess({
    name: `pgbouncer at ${place.host}:${port}`,
    directory,
    // Without waiting for clients.
    stopSignal: "SIGTERM",
    prepare: async () => {
      const lines = [
        "[databases]",
        // Whoever comes is the superuser there.
        `postgres = host=${server.host} port=${server.port} user=postgres`,
        "[pgbouncer]",
        `listen_addr = ${place.host}`,
        `listen_port = ${port}`,
        "unix_socket_dir =",
        "auth_type = any",
        "pool_mode = transaction",
        `default_pool_size = ${poolSize}`,
        "max_client_conn = 500",
      ];
      await writeFile(config, `${lines.join("\n")}\n`);
      return { argv: [PROGRAM, config], ...account };
    },
    serves: async () => {
      await connectPostgres(place, (query) => query("SELECT 1"));
      return true;
    },
  });
  await startServers([process]);
  return { ...place, close: () => process.close() };
}
