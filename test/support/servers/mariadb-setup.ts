// Before the first test of those who need it: one MariaDB for the whole run, which tests get with `inject("mariadb")`.
import { missingMariaDb, startMariaDb } from "./mariadb.js";
import { type RunServer, setupOf } from "./run-server.js";

declare module "vitest" {
  export interface ProvidedContext {
    readonly mariadb: RunServer<{ readonly host: string; readonly port: number }>;
  }
}

export default setupOf("mariadb", async () => {
  const missing = missingMariaDb();
  if (missing !== null) return missing;
  const server = await startMariaDb();
  return { details: { host: server.host, port: server.port }, close: () => server.close() };
});
