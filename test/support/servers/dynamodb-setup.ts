// Before the first test that needs it: one dynalite for the whole run, which tests get with `inject("dynamodb")`. After the last: its end.
import { startDynamo } from "./dynamodb.js";
import { type RunServer, setupOf } from "./run-server.js";

declare module "vitest" {
  export interface ProvidedContext {
    readonly dynamodb: RunServer<{ readonly host: string; readonly port: number }>;
  }
}

export default setupOf("dynamodb", async () => {
  const server = await startDynamo();
  return { details: { host: server.host, port: server.port }, close: () => server.close() };
});
