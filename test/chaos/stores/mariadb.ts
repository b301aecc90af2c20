// A MariaDB under chaos: one server, which is killed, restarted and frozen.
import { join } from "node:path";
import { openFramedProxy } from "../../support/framed-proxy.js";
import { MYSQL } from "../../support/mysql-framer.js";
import { ADMIN, DATABASE, startMariaDb } from "../../support/servers/mariadb.js";
import { Casualties, type NemesisStore, pick, roadFaults, serverFaults } from "../faults.js";

export async function openNemesisStore(): Promise<NemesisStore> {
  const server = await startMariaDb();
  const roads = [await openFramedProxy(MYSQL, server), await openFramedProxy(MYSQL, server)];
  const urlAt = (address: string): string => `mariadb://${ADMIN.user}:${ADMIN.password}@${address}/${DATABASE}`;
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
