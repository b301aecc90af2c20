// Before the first test: one PostgreSQL for the whole run, which tests get with `inject("postgresql")`. After the last: its end.
import { findPostgres, postgresAccount, startPostgres } from "./postgresql.js";
import { type RunServer, setupOf } from "./run-server.js";

declare module "vitest" {
  export interface ProvidedContext {
    readonly postgresql: RunServer<{ readonly host: string; readonly port: number }>;
  }
}

export default setupOf("postgresql", async () => {
  if ((await findPostgres()) === null) return "its programs are not in /usr/lib/postgresql";
  if ((await postgresAccount()) === null) return "it does not run as root, and there is no account postgres";
  // What a crash loses is tried on servers of their own: this one only has to be fast.
  const server = await startPostgres({ isInMemory: true });
  return { details: { host: server.host, port: server.port }, close: () => server.close() };
});
