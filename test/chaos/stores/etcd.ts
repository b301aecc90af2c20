// A cluster of three etcd members under chaos.
import { join } from "node:path";
import { ETCD_PROTOCOL } from "../../stores/etcd/framer.js";
import { openFramedProxy } from "../../support/framed-proxy.js";
import { startEtcd } from "../../support/servers/etcd.js";
import { Casualties, frozen, killed, type NemesisStore, pick, roadFaults, serverFaults } from "../faults.js";

const MEMBERS = 3;
const ROOT = "/chaos";

export async function openNemesisStore(): Promise<NemesisStore> {
  const cluster = await startEtcd({ members: MEMBERS });
  const { members } = cluster;
  const roads = [await openFramedProxy(ETCD_PROTOCOL, ...members), await openFramedProxy(ETCD_PROTOCOL, ...members)];
  const casualties = new Casualties(members.map(({ process }) => process));
  const urlAt = (address: string): string => `etcd://${address}${ROOT}`;
  return {
    urlOf: () => urlAt(pick(roads).address),
    url: urlAt(cluster.address),
    faults: [
      ...serverFaults(casualties),
      ["quorum lost", () => casualties.two(killed, pick([killed, frozen]))],
      ...roadFaults(roads, MEMBERS),
    ],
    logs: members.map(({ process }) => join(process.plan.directory, "output.log")),
    async close() {
      for (const road of roads) await road.close();
      await cluster.close();
    },
  };
}
