// Redis under chaos: one server that has every write on its disk before it replies. What a failover may lose is tried in
// test/stores/redis/, where it is known what was confirmed.
import { join } from "node:path";
import { openFramedProxy } from "../../support/framed-proxy.js";
import { REDIS } from "../../support/redis-framer.js";
import { startRedisServer } from "../../support/servers/redis.js";
import { Casualties, type NemesisStore, pick, roadFaults, serverFaults } from "../faults.js";

export async function openNemesisStore(): Promise<NemesisStore> {
  const server = await startRedisServer({ settings: ["appendonly yes", "appendfsync always"] });
  const roads = [await openFramedProxy(REDIS, server), await openFramedProxy(REDIS, server)];
  const urlAt = (address: string): string => `redis://${address}/0`;
  return {
    urlOf: () => urlAt(pick(roads).address),
    url: urlAt(server.address),
    faults: [...serverFaults(new Casualties([server])), ...roadFaults(roads, 1)],
    logs: [join(server.plan.directory, "output.log")],
    async close() {
      for (const road of roads) await road.close();
      await server.close();
    },
  };
}
