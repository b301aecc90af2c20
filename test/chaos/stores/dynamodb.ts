// DynamoDB's protocol under chaos, as dynalite speaks it: a process that is killed, restarted and frozen.
import { join } from "node:path";
import { openFramedProxy } from "../../support/framed-proxy.js";
import { DYNAMO_PROTOCOL } from "../../support/http-framer.js";
import { DYNAMO_CREDENTIALS, startDynamo } from "../../support/servers/dynamodb.js";
import { Casualties, type NemesisStore, pick, roadFaults, serverFaults } from "../faults.js";

export async function openNemesisStore(): Promise<NemesisStore> {
  // The agents have the surroundings of this process.
  Object.assign(process.env, DYNAMO_CREDENTIALS);
  const server = await startDynamo();
  const roads = [await openFramedProxy(DYNAMO_PROTOCOL, server), await openFramedProxy(DYNAMO_PROTOCOL, server)];
  const urlAt = (address: string): string => `dynamodb://holdline?endpoint=http://${address}`;
  return {
    urlOf: () => urlAt(pick(roads).address),
    url: urlAt(`${server.host}:${server.port}`),
    faults: [...serverFaults(new Casualties([server.process])), ...roadFaults(roads, 1)],
    logs: [join(server.process.plan.directory, "output.log")],
    async close() {
      for (const road of roads) await road.close();
      await server.close();
    },
  };
}
